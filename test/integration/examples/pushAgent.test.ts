import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { codeOf } from '../../helpers/codeOf.js';
import { agentOf } from '../../helpers/pushAgent.js';
import { openApi, type TestApi } from '../producers/http/support.js';
import { completed, expectContent, serversOf, SIZE } from '../services/backup/push/support.js';

const PROGRAM = fileURLToPath(new URL('../../../../examples/push-agent/push-agent.mjs', import.meta.url));

describe('The example of an agent that pushes', () => {
  let api: TestApi;
  let url: string;
  const disk = randomBytes(SIZE);
  const file = (name: string) => join(api.fleet.suite.tempDir, name);
  before(async () => {
    api = await openApi({ lease: { maxAttempts: 3 } });
    api.fleet.work();
    url = await api.app.listen({ host: '127.0.0.1', port: 0 });
    await writeFile(file('disk.raw'), disk);
  });
  after(() => api.close());

  const ask = async (type: string, since?: string) => {
    const known = since === undefined ? {} : { since_change_id: since };
    const disks = [{ disk_id: 0, source: { type: 'push' }, virtual_size: SIZE, ...known }];
    const body = { vm_name: 'example', repository_id: 'main', backup_type: type, disks };
    const answer = await api.call('POST', 'backups', { as: 'operator', body });
    expect(answer.status, answer.text).to.equal(202);
    return agentOf(api.fleet, answer.body.disk_results[0].backup_id);
  };
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [PROGRAM, ...args], {
      timeout: 60_000,
      env: { PATH: process.env.PATH, STRATA_URL: url, STRATA_TOKEN: api.tokens.operator },
    });

  it('pushes a full, then what has changed, then everything where its changes fit no more', async () => {
    const full = await ask('full');
    await run(full.backupId, '0', file('disk.raw'), 'c1');
    expect((await completed(api.fleet, full)).changeId).to.equal('c1');
    await expectContent(api.fleet, full.backupId, disk);

    randomBytes(5_120).copy(disk, 1_024_000);
    disk.fill(0, 3_145_728, 3_276_800);
    await writeFile(file('disk.raw'), disk);
    await writeFile(file('changes'), '1024000 5120\n3145728 131072\n');
    const increment = await ask('incremental', 'c1');
    await run(increment.backupId, '0', file('disk.raw'), 'c2', file('changes'));
    const found = await completed(api.fleet, increment);
    expect(found).to.deep.include({ backupType: 'incremental', changeId: 'c2', bytesTransferred: 136_192 });
    await expectContent(api.fleet, increment.backupId, disk);

    const demoted = await ask('incremental', 'c1');
    await run(demoted.backupId, '0', file('disk.raw'), 'c3', file('changes'));
    expect((await completed(api.fleet, demoted)).demotedReason).to.equal('change_id_mismatch');
    await expectContent(api.fleet, demoted.backupId, disk);
  });

  it('begins anew when its export dies, and reports what it cannot do', async () => {
    const agent = await ask('full');
    await agent.opened();
    for (const pid of await serversOf(api.fleet)) process.kill(pid, 'SIGKILL');
    await run(agent.backupId, '0', file('disk.raw'), 'c4');
    await completed(api.fleet, agent);
    await expectContent(api.fleet, agent.backupId, disk);
    const hopeless = await ask('full');
    expect(await codeOf(run(hopeless.backupId, '0', file('missing.raw')))).to.contain('ENOENT');
    expect(await api.fleet.ended(hopeless.backupId)).to.deep.include({ error_code: 'push_agent_failed' });
  });
});
