import { expect } from 'chai';
import { formatBytes } from '../../../../src/cli/render/bytes.js';
import { chainSpace, renderChain } from '../../../../src/cli/render/chain.js';
import { layOutChain } from '../../../../src/cli/render/chainTree.js';
import type { Chain, ChainBackup } from '../../../../src/contract/index.js';

const MIB = 1024 * 1024;

function layer(id: string, parent: string | null, more: Partial<ChainBackup> = {}): ChainBackup {
  return {
    id,
    restore_point_id: `rp_${id}`,
    parent_backup_id: parent,
    backup_type: parent === null ? 'full' : 'incremental',
    demoted_reason: null,
    status: 'completed',
    health: 'ok',
    created_at: '2025-11-22T23:40:00.000Z',
    completed_at: '2025-11-22T23:41:00.000Z',
    virtual_size: 512 * MIB,
    size_bytes: parent === null ? 64 * MIB : 2 * MIB,
    bytes_transferred: 0,
    content_id: null,
    change_id: null,
    repository_path: null,
    error_code: null,
    ...more,
  };
}

function chain(backups: ChainBackup[]): Chain {
  return {
    id: 'chn_1',
    vm_context_id: 'web01-x',
    vm_name: 'web01',
    repository_id: 'repo_1',
    disk_id: 0,
    full_backup_id: null,
    latest_backup_id: null,
    total_backups: backups.length,
    total_size_bytes: 0,
    health: 'ok',
    last_validated_at: null,
    fence: 1,
    committed: 1,
    lease: null,
    backups,
  };
}

const graphs = (backups: ChainBackup[]) =>
  layOutChain(backups).map(({ graph, backup }) => `${graph} ${backup.id}`);

describe('drawing of a chain', () => {
  it('is one column for a linear chain', () => {
    expect(graphs([layer('a', null), layer('b', 'a'), layer('c', 'b')])).to.deep.equal(['● a', '● b', '● c']);
  });

  it('lets differentials beside the newest line branch off', () => {
    const backups = [
      layer('f', null),
      layer('d1', 'f'),
      layer('d2', 'f'),
      layer('i1', 'd2'),
      layer('d3', 'f'),
    ];
    expect(graphs(backups)).to.deep.equal(['● f', '├─● d1', '├─● d2', '│ ● i1', '● d3']);
  });

  it('begins a new column top for every segment, and survives a chain of 5,000 layers', () => {
    expect(graphs([layer('a', null), layer('b', 'a'), layer('c', null)])).to.deep.equal([
      '● a',
      '● b',
      '● c',
    ]);
    const long = Array.from({ length: 5000 }, (_, index) =>
      layer(`b${index}`, index === 0 ? null : `b${index - 1}`),
    );
    expect(layOutChain(long)).to.have.length(5000);
  });

  it('draws layers with sizes, names what did not complete, and adds up the space saved', () => {
    const backups = [
      layer('bkp_a', null, { change_id: '52 de/1' }),
      layer('bkp_x', null, { status: 'failed', size_bytes: null }),
      layer('bkp_b', 'bkp_a', { created_at: '2025-11-23T00:40:00.000Z', health: 'suspect' }),
    ];
    expect(renderChain(chain(backups), (bytes) => formatBytes(bytes))).to.equal(
      [
        'web01 disk 0  chn_1  health ok  never validated',
        'LAYER          TIME                    STORED    VIRTUAL  HEALTH   CHANGE ID  BACKUP  NOTE',
        '● full         2025-11-22 23:40:00Z  64.0 MiB  512.0 MiB  ok       52 de/1    bkp_a   -',
        '● incremental  2025-11-23 00:40:00Z   2.0 MiB  512.0 MiB  suspect  -          bkp_b   -',
        'not in the chain: 1 failed',
        '2 points: 1.0 GiB logical, 66.0 MiB stored, 958.0 MiB saved (93.6 %)',
        'as 2 fulls: 128.0 MiB, so increments save 62.0 MiB (48.4 %)',
        '',
      ].join('\n'),
    );
  });

  it('says of an empty chain that it is empty', () => {
    expect(chainSpace([])).to.deep.equal({ points: 0, logical: 0, stored: 0, asFulls: 0 });
    expect(renderChain(chain([]), String)).to.contain('No completed backup.');
  });
});
