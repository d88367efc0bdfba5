import { expect } from 'chai';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedStatus } from '../../../../src/main/embedded/index.js';
import { isRunning, ownProcesses, waitUntilGone } from '../../../../src/main/embedded/processes.js';
import { fleetStatus, startFleet, stopFleet } from '../../../../src/main/pm2/fleet.js';
import { preparePm2Home } from '../../../../src/main/pm2/home.js';
import { findDaemons } from '../../../../src/main/pm2/processes.js';
import { isStrataError } from '../../../../src/shared/errors.js';

/** Says in its data directory where it listens and what it was configured with. */
const APP = `
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
const { STRATA_DATA_DIR, STRATA_MARK, NODE_APP_INSTANCE } = process.env;
if (STRATA_MARK === 'crash') throw new Error('the configuration is wrong');
const server = createServer((_, response) => response.end(STRATA_MARK));
server.listen(Number(process.env.TEST_PORT ?? 0), '127.0.0.1', () => {
  writeFileSync(STRATA_DATA_DIR + '/address', 'http://127.0.0.1:' + server.address().port);
  process.send('ready');
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => { server.closeAllConnections(); server.close(() => process.exit(0)); });
}`;

const ECOSYSTEM = `
const file = import.meta.dirname + '/app.js';
const log = process.env.STRATA_DATA_DIR + '/logs/app.log';
const app = (name, instances) => ({
  name, script: file, instances, exec_mode: 'fork', wait_ready: true, treekill: false, kill_timeout: 5000,
  pmx: false, vizion: false, out_file: log, error_file: log, merge_logs: true, exp_backoff_restart_delay: 20,
  max_restarts: 1000000,
});
export const apps = [app('strata-api', 1), app('strata-backup', 2)];`;

describe('a fleet under PM2', () => {
  let root: string;
  const env = { ...process.env, STRATA_MARK: 'first' };

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'fleet-'));
    await writeFile(join(root, 'package.json'), '{"type": "module"}');
    await writeFile(join(root, 'app.js'), APP);
    await writeFile(join(root, 'ecosystem.config.js'), ECOSYSTEM);
  });

  afterEach(() => stopFleet({ dataDir: join(root, 'data'), env }));

  after(() => rm(root, { recursive: true, force: true }));

  const start = (mark = 'first', dataDir = join(root, 'data')) =>
    startFleet({
      dataDir,
      env: { ...env, STRATA_MARK: mark },
      ecosystem: join(root, 'ecosystem.config.js'),
    });

  it('runs all processes, and a second start reloads them with the new environment', async () => {
    const first = await start();
    expect(first.processes.map(({ name }) => name)).to.have.members([
      'strata-api',
      'strata-backup',
      'strata-backup',
    ]);
    const second = await start('second');
    expect(second.processes.every(({ status }) => status === 'online')).to.equal(true);
    expect(second.processes.map(({ pid }) => pid)).to.not.include.members(
      first.processes.map(({ pid }) => pid),
    );
    const address = await readFile(join(root, 'data', 'address'), 'utf8');
    expect(await (await fetch(address)).text()).to.equal('second');
  });

  it('ends with its daemon, leaving no process behind', async () => {
    const { processes } = await start();
    await stopFleet({ dataDir: join(root, 'data'), env });
    for (const { pid } of processes) expect(await isRunning(pid)).to.equal(false);
    expect(await findDaemons(await preparePm2Home(join(root, 'data')))).to.deep.equal([]);
    expect((await fleetStatus({ dataDir: join(root, 'data'), env })).daemon).to.equal('stopped');
  });

  it('starts again after its daemon was killed, and ends the processes that the dead one left', async () => {
    const { processes } = await start();
    await killDaemon(join(root, 'data'));
    expect(await isRunning(processes[0]?.pid ?? 0)).to.equal(true);
    const again = await start();
    for (const { pid } of processes) expect(await isRunning(pid)).to.equal(false);
    expect(again.processes).to.have.length(3);
  });

  it('starts again after everything was killed', async () => {
    const { processes } = await start();
    const daemons = await killDaemon(join(root, 'data'));
    for (const { pid } of processes) process.kill(pid, 'SIGKILL');
    await waitUntilGone([...daemons, ...processes.map(({ pid }) => pid)], 5000);
    expect((await start()).processes).to.have.length(3);
  });

  it('is separate from the fleet of another data directory, even one with a very long path', async () => {
    const other = join(root, 'other'.repeat(25));
    const [mine, theirs] = [await start(), await start('theirs', other)];
    await stopFleet({ dataDir: join(root, 'data'), env });
    for (const { pid } of mine.processes) expect(await isRunning(pid)).to.equal(false);
    for (const { pid } of theirs.processes) expect(await isRunning(pid)).to.equal(true);
    await stopFleet({ dataDir: other, env });
    const left = (await ownProcesses()).filter(({ argv }) => argv.join(' ').includes(root));
    expect(left).to.deep.equal([]);
  });

  it('says why a process does not come up', async () => {
    const error: unknown = await start('crash').catch((e) => e);
    expect(isStrataError(error, 'service_failed')).to.equal(true);
    expect(error).to.have.property('message').that.includes('the configuration is wrong');
  });

  it('tells the status of a data directory that was never used without creating it', async () => {
    const dataDir = join(root, 'never');
    expect(await fleetStatus({ dataDir, env })).to.deep.equal({ daemon: 'stopped', processes: [] });
    expect((await embeddedStatus({ dataDir })).redis.state).to.equal('stopped');
    await readFile(dataDir).then(
      () => expect.fail('it exists'),
      (error: unknown) => expect(error).to.have.property('code', 'ENOENT'),
    );
  });
});

async function killDaemon(dataDir: string): Promise<number[]> {
  const daemons = await findDaemons(await preparePm2Home(dataDir));
  expect(daemons).to.have.length(1);
  for (const pid of daemons) process.kill(pid, 'SIGKILL');
  await waitUntilGone(daemons, 5000);
  return daemons;
}
