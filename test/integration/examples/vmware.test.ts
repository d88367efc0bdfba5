import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Backup, type Extent } from '../../../src/contract/index.js';
import { type NbdServer, startNbdkit } from '../../helpers/nbdServers.js';
import { runTool } from '../../helpers/runTool.js';
import { openApi, type TestApi } from '../producers/http/support.js';

const PROJECT = fileURLToPath(new URL('../../../../', import.meta.url));
const PROGRAM = join(PROJECT, 'examples/vmware/changed-areas.mjs');
const ANSWERS = join(PROJECT, 'test/fixtures/vmware/changed-areas.jsonl');
const CAPACITY = 32 << 20;
const DISK_ID = 2000;

describe('The recipe for VMware (docs/vmware.md)', () => {
  let api: TestApi;
  let server: NbdServer;
  let disk: string;

  before(async () => {
    api = await openApi();
    api.fleet.work();
    disk = join(api.fleet.suite.tempDir, 'flat.vmdk');
    await writeFile(disk, randomBytes(CAPACITY));
    server = await startNbdkit('--readonly', 'file', disk);
  });
  after(async () => {
    await server.stop();
    await api.close();
  });

  const toChangeList = async (answers: string): Promise<Extent[]> => {
    const lines = await new Promise<string>((resolve, reject) => {
      const child = execFile(process.execPath, [PROGRAM, String(CAPACITY)], (error, stdout, stderr) =>
        error ? reject(new Error(stderr)) : resolve(stdout),
      );
      child.stdin?.end(answers);
    });
    return lines
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number))
      .map(([offset = 0, length = 0]) => ({ offset, length }));
  };

  const backUp = async (about: object): Promise<Backup> => {
    const answer = await api.call('POST', 'backups', {
      body: {
        vm_name: 'web',
        repository_id: 'main',
        backup_type: 'incremental',
        disks: [{ disk_id: DISK_ID, source: { type: 'nbd', uri: server.uri() }, ...about }],
      },
    });
    expect(answer.status, answer.text).to.equal(202);
    const id = String(answer.body.disk_results[0].backup_id);
    expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
    const backup: Backup = await api.read(`backups/${id}`, Backup);
    const image = join(api.fleet.repositoryRoot, backup.repository_path ?? '');
    await runTool('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', disk, image);
    return backup;
  };
  const latest = async () =>
    (await api.call('GET', `backups/changeid?vm_name=web&repository_id=main&disk_id=${DISK_ID}`)).body
      .change_id;

  it('takes a full, then what QueryChangedDiskAreas has answered, under the change ids of the snapshots', async () => {
    const full = await backUp({ change_id: '52 de c0 d9/9' });
    expect(full.backup_type).to.equal('full');
    const changes = await toChangeList(await readFile(ANSWERS, 'utf8'));
    const file = await open(disk, 'r+');
    for (const { offset, length } of changes) await file.write(randomBytes(length), 0, length, offset);
    await file.close();
    const about = {
      change_id: '52 de c0 d9/12',
      since_change_id: await latest(),
      changed_extents: changes,
    };
    const increment = await backUp(about);
    expect(increment.backup_type).to.equal('incremental');
    expect(increment.bytes_transferred).to.equal(changes.reduce((sum, { length }) => sum + length, 0));
    expect(await latest()).to.equal('52 de c0 d9/12');
  });

  it('takes a full when tracking was reset: the list begins at another change id', async () => {
    const full = await backUp({
      change_id: '52 aa 00 01/3',
      since_change_id: '52 aa 00 01/1',
      changed_extents: [{ offset: 0, length: 65536 }],
    });
    expect(full.backup_type).to.equal('full');
    expect(full.demoted_reason).to.equal('change_id_mismatch');
  });

  it('refuses answers that leave a hole or end too early', async () => {
    const lines = (await readFile(ANSWERS, 'utf8')).trim().split('\n');
    const without = (index: number) => lines.filter((_, at) => at !== index).join('\n');
    for (const index of [0, 1, 2]) {
      const refused = await toChangeList(without(index)).then(() => 'taken', String);
      expect(refused).to.match(/An answer is missing|cover \d+ of \d+ bytes/);
    }
  });
});
