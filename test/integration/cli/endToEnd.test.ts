import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { prepareEmbeddedPaths } from '../../../src/main/embedded/paths.js';
import { pm2HomeIn } from '../../../src/main/pm2/home.js';
import { findDaemons } from '../../../src/main/pm2/processes.js';
import type { SystemStatus } from '../../../src/main/status.js';
import { codeOf } from '../../helpers/codeOf.js';
import { runTool } from '../../helpers/runTool.js';
import { type Ended, runMain, sha256 } from './system.js';
import { expectUnserved } from './unserved.js';

const MIB = 1024 * 1024;

describe('the whole system, from the command line', function () {
  this.timeout(300_000);
  let root = '';
  let dataDir = '';

  const strata = (...args: string[]): Promise<Ended> => runMain('cli', args, { STRATA_DATA_DIR: dataDir });
  const demo = (...args: string[]): Promise<Ended> => runMain('demo', args, { STRATA_DATA_DIR: dataDir });
  /** Runs a command that must succeed, and returns its one JSON document. */
  const json = async (...args: string[]) => {
    const { code, out, err } = await strata(...args, '--json');
    expect(code, `strata ${args.join(' ')}: ${err}`).to.equal(0);
    expect(err).to.equal('');
    return JSON.parse(out);
  };

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'cli-'));
    dataDir = join(root, 'data');
  });

  after(async () => {
    await strata('down');
    await rm(root, { recursive: true, force: true });
  });

  it('says what to do when nothing runs', async () => {
    const listing = await strata('list');
    expect([listing.code, listing.out]).to.deep.equal([7, '']);
    expect(listing.err).to.contain('[api_unreachable]').and.to.contain('strata up');
    const down = await strata('down');
    expect([down.code, down.out]).to.deep.equal([0, `Nothing was running in ${dataDir}.\n`]);
    expect((await strata('status')).code).to.equal(7);
    expect((await strata('frob')).code).to.equal(2);
  });

  it('starts everything on the next free port when another program has the usual one', async () => {
    const other = await occupy(7420);
    try {
      const { addresses, adopted } = await json('up');
      expect(adopted).to.equal(false);
      expect(addresses.api)
        .to.match(/^http:\/\/127\.0\.0\.1:74\d\d\/api\/v1$/)
        .and.not.contain(':7420/');
    } finally {
      if (other.listening) other.close();
    }
    expect((await stat(join(dataDir, 'cli.json'))).mode & 0o777).to.equal(0o600);
    const status: SystemStatus = await json('status');
    expect(status.healthy).to.equal(true);
    expect(status.queues?.map(({ name }) => name)).to.include('backup.default');
  });

  it('adopts what runs when it is started again, and makes a new token for a lost one', async () => {
    const first = await readFile(join(dataDir, 'cli.json'), 'utf8');
    expect((await json('up')).adopted).to.equal(true);
    expect(await readFile(join(dataDir, 'cli.json'), 'utf8')).to.equal(first);
    await rm(join(dataDir, 'cli.json'));
    const [one, two] = await Promise.all([json('up'), json('up')]);
    expect([one.adopted, two.adopted]).to.deep.equal([true, true]);
    expect((await json('token', 'list')).items).to.have.length(1);
  });

  it('backs up, draws, validates and restores two disks of a VM', async () => {
    await mkdir(join(root, 'repo'));
    const disks = [join(dataDir, 'sources', 'a.raw'), join(dataDir, 'sources', 'b.raw')] as const;
    for (const [index, disk] of disks.entries()) await writeFile(disk, Buffer.alloc(4 * MIB, index + 1));
    await json('repo', 'add', 'main', join(root, 'repo'));
    await json(
      'vm',
      'add',
      'web 01',
      '--repo',
      'main',
      '--disk',
      `0=${disks[0]}`,
      '--disk',
      `10=${disks[1]}`,
    );
    const full = await json('backup', 'web 01', '--wait');
    expect(full.backups.map((backup: { backup_type: string }) => backup.backup_type)).to.deep.equal([
      'full',
      'full',
    ]);
    await writeFile(disks[1], Buffer.alloc(4 * MIB, 7));
    const increment = await json('backup', 'web 01', '--type', 'incremental', '--disk', '10', '--wait');
    const [backup] = increment.backups;
    expect(backup).to.include({ disk_id: 10, backup_type: 'incremental', status: 'completed' });
    const target = join(dataDir, 'restores', 'b.raw');
    expect(await json('restore', backup.id, target, '--wait')).to.include({ status: 'completed' });
    expect(sha256(await readFile(target))).to.equal(sha256(await readFile(disks[1])));
    expect((await json('chain', 'web 01', '10')).space).to.include({ points: 2 });
    const drawing = await strata('chain', 'web 01', '10');
    expect(drawing.out)
      .to.match(/● full .*\n● incremental /)
      .and.to.contain('2 points: 8.0 MiB logical');
    expect((await json('validate', 'web 01', '10', '--wait')).result).to.include({ healthy: true });
    const both = await json('validate', '--vm', 'web 01', '--deep', '--wait');
    expect(both).to.include({ level: 'deep', ill: 0 });
    expect(both.jobs.map(({ disk_id }: { disk_id: number }) => disk_id)).to.have.members([0, 10]);
    const all = await strata('validate', '--repository', 'main', '--wait');
    expect([all.code, all.out.trimEnd().split('\n').at(-1)]).to.deep.equal([0, '2 of 2 chains are healthy.']);
    expect((await json('points', 'web 01')).items).to.have.length(2);
    expect((await json('list', '--vm', 'web 01', '--disk', '10')).items).to.have.length(2);
  });

  it('says beforehand what a policy and a removal would do, who holds what, and what is protected', async () => {
    await json('policy', 'add', 'nightly', '--keep', 'last=100', '--vm', 'web 01');
    const simulated = await strata('policy', 'simulate', 'nightly');
    expect(simulated.out)
      .to.match(/keep .*last 1\b/)
      .and.to.match(/\d+ stay, \d+ would go\./);
    const before = await json('list', '--vm', 'web 01');
    const [{ id, restore_point_id: point }] = before.items;
    const planned = await strata('delete', id, '--dry-run');
    expect(planned.out).to.contain('remove').and.to.contain('This was a dry run: nothing was changed.');
    expect((await strata('space')).out).to.match(/web 01 +0 .*\n.*web 01 +10 |web 01 +10 .*\n.*web 01 +0 /);
    await json('protect', point, '--until', '2090-01-01T00:00:00Z');
    expect((await strata('delete', point)).code).to.equal(3);
    expect((await json('list', '--vm', 'web 01')).items).to.have.length(before.items.length);
    await json('protect', point, '--none');
    expect((await strata('policy', 'remove', 'nightly')).code).to.equal(0);
  });

  it('changes a repository, and takes a word for no limit', async () => {
    const set = (...args: string[]) => json('repo', 'set', 'main', ...args);
    const limited = await set('--max-bytes-per-second', '512MiB', '--max-parallel-jobs', '4');
    expect(limited).to.include({ max_bytes_per_second: 512 * MIB, max_parallel_jobs: 4 });
    const free = await set('--max-bytes-per-second', 'none', '--max-parallel-jobs', 'none');
    expect(free).to.include({ max_bytes_per_second: null, max_parallel_jobs: null, enabled: true });
    const limits = ['--max-bytes-per-second', '64MiB', '--deadline', '600'];
    const { backups } = await json('backup', 'web 01', '--disk', '0', ...limits, '--wait');
    expect(backups[0]).to.include({ max_bytes_per_second: 64 * MIB, deadline_seconds: 600 });
  });

  it('is not well in `status` while nobody serves the pool of an enabled repository, although everything runs', async () => {
    await expectUnserved(strata, join(root, 'far'));
  });

  it('shows progress as plain lines without escape sequences when nobody watches a terminal', async () => {
    const { code, out, err } = await strata('backup', 'web 01', '--wait');
    expect(code).to.equal(0);
    expect(err).to.contain('web 01 disk 10  completed in');
    expect(out + err).to.not.contain('\u001B');
  });

  it('answers mistakes with the exit code of their kind, and in JSON with one problem document', async () => {
    const backupId = (await json('list', '--vm', 'web 01', '--limit', '1')).items[0].id;
    const validationId = (await json('validate', 'web 01', '10', '--wait')).id;
    const cases: [number, string, string[]][] = [
      [4, 'not_found', ['backup', 'nobody']],
      [4, 'not_found', ['show', 'bkp_nothing']],
      [3, 'wrong_state', ['cancel', backupId]],
      [3, 'wrong_state', ['cancel', validationId]],
      [3, 'name_taken', ['repo', 'add', 'main', join(root, 'data', 'repository')]],
      [3, 'repository_not_empty', ['repo', 'remove', 'main']],
      [2, 'path_not_allowed', ['backup', 'web 01', '--disk', '0', '--source', '/etc/x.raw']],
      [2, 'unknown_format', ['backup', 'web 01', '--disk', '0', '--source', '/etc/x.iso']],
      [2, 'invalid_request', ['repo', 'set', 'main']],
      [2, 'invalid_request', ['validate', 'web 01', '--repository', 'main']],
      [4, 'not_found', ['validate', '--vm', 'nobody']],
      [2, 'invalid_request', ['backup', 'web 01', '--max-bytes-per-second', '1KiB']],
      [2, 'invalid_request', ['delete', 'nope']],
      [2, 'invalid_request', ['policy', 'add', 'none', '--keep', 'last=0']],
      [5, 'unauthorized', ['list', '--token', 'wrong']],
    ];
    for (const [exit, problem, args] of cases) {
      const { code, out, err } = await strata(...args, '--json');
      expect([code, out, JSON.parse(err).code], args.join(' ')).to.deep.equal([exit, '', problem]);
    }
    const { token } = await json('token', 'add', 'watcher');
    expect((await strata('backup', 'web 01', '--token', token)).code).to.equal(5);
    expect((await strata('list', '--token', token)).code).to.equal(0);
    await json('token', 'remove', 'watcher');
  });

  it('demonstrates itself, twice in a row', async () => {
    const first = await demo();
    expect(first.code, first.err).to.equal(0);
    expect(first.err).to.contain('Images are identical.').and.to.contain('SHA-256');
    expect(first.out).to.match(/● full .*\n● incremental .*\n2 points/);
    const second = await demo();
    expect(second.code, second.err).to.equal(0);
    expect(second.out).to.contain('\n3 points').and.to.contain('strata_');
  });

  it('demonstrates itself with a disk of the user’s, which it does not touch', async () => {
    const disk = join(root, 'users', 'mail.qcow2');
    await mkdir(join(root, 'users'));
    await runTool('qemu-img', 'create', '-q', '-f', 'qcow2', disk, '16M');
    await runTool('qemu-io', '-f', 'qcow2', '-c', 'write -P 5 1M 2M', disk);
    const [before, { mtimeMs }] = [sha256(await readFile(disk)), await stat(disk)];
    const { code, err, out } = await demo(disk);
    expect(code, err).to.equal(0);
    expect(out).to.contain('mail disk 0');
    expect(sha256(await readFile(disk))).to.equal(before);
    expect((await stat(disk)).mtimeMs).to.equal(mtimeMs);
    expect((await demo(join(root, 'none.raw'))).code).to.equal(2);
  });

  it('starts again after everything was killed, on the same port, with all that it had', async () => {
    const status: SystemStatus = await json('status');
    const daemons = await findDaemons(pm2HomeIn(await prepareEmbeddedPaths(dataDir)));
    expect(daemons).to.have.length(1);
    const pids = [
      ...daemons,
      ...status.services.map(({ pid }) => pid),
      ...status.processes.map(({ pid }) => pid),
    ];
    for (const pid of pids) if (pid) process.kill(pid, 'SIGKILL');
    const { addresses } = await json('up');
    expect(addresses).to.deep.equal(status.addresses);
    expect((await json('list', '--vm', 'demo')).items).to.have.length(3);
    expect((await json('backup', 'web 01', '--wait')).backups).to.have.length(2);
  });

  it('stops everything, and says what it stopped', async () => {
    const { code, out } = await strata('down');
    expect(code).to.equal(0);
    for (const name of ['strata-api', 'strata-backup', 'strata-keeper', 'mariadbd', 'redis-server']) {
      expect(out).to.contain(name);
    }
    expect((await json('down')).stopped).to.deep.equal([]);
    expect(await codeOf(stat(join(dataDir, 'run', 'redis.sock')))).to.contain('ENOENT');
  });
});

/** Listens on the port, unless somebody else does, which is as good. */
function occupy(port: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(server));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
