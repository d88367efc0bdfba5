import { expect } from 'chai';
import { checkManifest } from '../../../../src/services/rebuild/checkManifest.js';
import {
  type ExistingDisk,
  type ExistingRow,
  type FoundBackup,
  type FoundDisk,
  NOTHING_EXISTS,
} from '../../../../src/services/rebuild/facts.js';
import { planDisk } from '../../../../src/services/rebuild/plan.js';
import { missingDisks } from '../../../../src/services/rebuild/points.js';
import type { Manifest } from '../../../../src/services/repository/manifest.js';

const PLACE = { repositoryId: 'repo_1', vmContextId: 'vm', diskId: 0, name: 'b1.json' };

function manifest(seq: number, over: Partial<Manifest> = {}): Manifest {
  const full = seq === 1;
  return {
    format: 'strata-manifest',
    version: 1,
    repository_id: 'repo_1',
    vm_context_id: 'vm',
    vm_name: 'web 01',
    upstream_id: '',
    disk_id: 0,
    chain_id: 'chn_1',
    seq,
    backup_id: `bkp_${seq}`,
    restore_point_id: `rp_${seq}`,
    fence: seq,
    backup_type: full ? 'full' : 'incremental',
    requested_type: 'auto',
    demoted_reason: null,
    parent_backup_id: full ? null : `bkp_${seq - 1}`,
    parent_file: full ? null : `b${seq - 1}.qcow2`,
    change_id: null,
    file: `b${seq}.qcow2`,
    file_length: 1000,
    file_mtime_ms: 1,
    size_bytes: 512,
    virtual_size: 1024,
    bytes_transferred: 0,
    content_id: 'a'.repeat(64),
    created_at: `2026-01-0${seq}T00:00:00.000Z`,
    ...over,
  };
}

const backup = (seq: number, over: Partial<Manifest> = {}, imageLength = 1000): FoundBackup => {
  const content = manifest(seq, over);
  const path = `vm/disk-0/${content.file}`;
  return { manifest: content, file: path.replace('qcow2', 'json'), path, imageLength, halfSwitched: false };
};

const found = (...backups: FoundBackup[]): FoundDisk => ({
  vmContextId: 'vm',
  diskId: 0,
  backups,
  directory: 'vm/disk-0',
  strays: [],
  highestFence: 3,
  problems: [],
});

const row = (seq: number, over: Partial<ExistingRow> = {}): ExistingRow => ({
  id: `bkp_${seq}`,
  chainId: 'chn_1',
  seq,
  status: 'completed',
  path: `vm/disk-0/b${seq}.qcow2`,
  parentBackupId: seq === 1 ? null : `bkp_${seq - 1}`,
  successorOf: seq === 1 ? null : `bkp_${seq - 1}`,
  removed: false,
  health: 'ok',
  sizeBytes: 512,
  ...over,
});

/** `1 2:damaged` for what is inserted, then `3 fork` for what is refused. */
function plan(disk: FoundDisk, existing: Partial<ExistingDisk> = {}): { insert: string; refused: string[] } {
  const { insert, problems } = planDisk(disk, { ...NOTHING_EXISTS, ...existing });
  return {
    insert: insert
      .map(({ manifest: { seq }, health }) => `${seq}${health === 'ok' ? '' : `:${health}`}`)
      .join(' '),
    refused: problems.map(({ backup_id, reason }) => `${backup_id ?? ''} ${reason}`),
  };
}

describe('The plan of a rebuild', () => {
  it('takes in a whole chain', () => {
    expect(plan(found(backup(1), backup(2), backup(3)))).to.deep.equal({ insert: '1 2 3', refused: [] });
  });

  it('leaves rows that exist, and adds what stands on them', () => {
    const disk = found(backup(1), backup(2), backup(3));
    const known = { chainId: 'chn_1', rows: [row(1), row(2)] };
    expect(plan(disk, known)).to.deep.equal({ insert: '3', refused: [] });
    expect(planDisk(disk, { ...NOTHING_EXISTS, ...known }).existing).to.equal(2);
  });

  it('refuses what has lost its parent, and all that stands on it', () => {
    expect(plan(found(backup(1), backup(3), backup(4)))).to.deep.equal({
      insert: '1',
      refused: ['bkp_3 parent_missing', 'bkp_4 parent_missing'],
    });
  });

  it('refuses a fork: the earlier increment wins', () => {
    const fork = backup(3, { parent_backup_id: 'bkp_1', parent_file: 'b1.qcow2' });
    expect(plan(found(backup(1), backup(2), fork))).to.deep.equal({ insert: '1 2', refused: ['bkp_3 fork'] });
    const differential = backup(3, {
      backup_type: 'differential',
      parent_backup_id: 'bkp_1',
      parent_file: 'b1.qcow2',
    });
    expect(plan(found(backup(1), backup(2), differential)).insert).to.equal('1 2 3');
  });

  it('refuses a parent that is another file than the manifest says, two backups in one place, and another chain', () => {
    expect(plan(found(backup(1), backup(2, { parent_file: 'other.qcow2' }))).refused).to.deep.equal([
      'bkp_2 parent_file_differs',
    ]);
    const twin = backup(1, { backup_id: 'bkp_twin', file: 'twin.qcow2' });
    expect(plan(found(backup(1), twin))).to.deep.equal({ insert: '1', refused: ['bkp_twin seq_taken'] });
    expect(plan(found(backup(1, { chain_id: 'chn_old' }), backup(2))).refused[0]).to.equal(
      'bkp_1 chain_differs',
    );
  });

  it('refuses everything where the VM or the chain is taken or at work', () => {
    const disk = found(backup(1));
    expect(plan(disk, { vmTaken: true }).refused).to.deep.equal(['bkp_1 vm_taken']);
    expect(plan(disk, { chainTaken: true }).refused).to.deep.equal(['bkp_1 chain_taken']);
    expect(plan(disk, { busy: true, chainId: 'chn_1' }).refused).to.deep.equal(['bkp_1 chain_busy']);
    expect(plan(disk, { points: new Map([['rp_1', 'other']]) }).refused).to.deep.equal(['bkp_1 point_taken']);
  });

  it('refuses an id that the catalogue gives to something else', () => {
    const failed = row(1, { status: 'failed', path: null });
    expect(plan(found(backup(1)), { chainId: 'chn_1', rows: [failed] }).refused).to.deep.equal([
      'bkp_1 id_taken',
    ]);
    const other = row(9, { id: 'bkp_other', path: 'vm/disk-0/b1.qcow2' });
    expect(plan(found(backup(1)), { chainId: 'chn_1', rows: [other] }).refused).to.deep.equal([
      'bkp_1 path_taken',
    ]);
  });

  it('marks a short image and what stands on it', () => {
    expect(plan(found(backup(1), backup(2, {}, 999), backup(3))).insert).to.equal('1 2:damaged 3:suspect');
    expect(plan(found(backup(1, {}, 1001))).insert).to.equal('1:suspect');
  });
});

describe('A manifest', () => {
  it('is refused when it belongs to another repository', () => {
    expect(checkManifest(manifest(1), PLACE)).to.equal(undefined);
    expect(checkManifest(manifest(1, { repository_id: 'repo_2' }), PLACE)).to.equal('manifest_foreign');
  });

  it('is refused when it lies in another place than it says', () => {
    for (const over of [{ vm_context_id: 'x' }, { disk_id: 1 }, { file: 'other.qcow2' }]) {
      expect(checkManifest(manifest(1, over), PLACE)).to.equal('manifest_misplaced');
    }
  });

  it('is refused with a value that no backup has', () => {
    const hostile: Partial<Record<keyof Manifest, unknown>>[] = [
      { backup_id: "bkp_'; DROP TABLE" },
      { chain_id: 'chn_../..' },
      { restore_point_id: 7 },
      { vm_name: 'two\nlines' },
      { seq: -1 },
      { fence: 2 ** 53 },
      { virtual_size: 1000 },
      { backup_type: 'other' },
      { backup_type: 'incremental' },
      { content_id: 'x' },
      { created_at: 'yesterday' },
      { change_id: 'x'.repeat(192) },
      { upstream_id: null },
      { tracker: 'oracle' },
    ];
    for (const over of hostile) {
      expect(checkManifest(manifest(1, over as Partial<Manifest>), PLACE), JSON.stringify(over)).to.equal(
        'manifest_refused',
      );
    }
  });

  it('is accepted with a change id of as many characters as the catalogue takes, however long each is', () => {
    expect(checkManifest(manifest(1, { change_id: '😀'.repeat(191) }), PLACE)).to.equal(undefined);
  });
});

describe('The restore points of a rebuild', () => {
  it('lack a disk that has backups before and after, and none in them', () => {
    const other = (seq: number) => backup(seq, { disk_id: 1 });
    const missing = missingDisks([
      found(backup(1), backup(2), backup(3), backup(4)),
      found(other(1), other(3)),
    ]);
    expect(Object.fromEntries(missing)).to.deep.equal({ rp_1: 0, rp_2: 1, rp_3: 0, rp_4: 0 });
  });
});
