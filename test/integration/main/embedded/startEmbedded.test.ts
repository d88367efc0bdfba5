import { expect } from 'chai';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { readSettings } from '../../../../src/config/settings.js';
import { startServices } from '../../../../src/main/control/bringUpFleet.js';
import { embeddedStatus, startEmbedded, stopEmbedded } from '../../../../src/main/embedded/index.js';
import { findMariadb } from '../../../../src/main/embedded/mariadb.js';
import { isRunning, ownProcesses, waitUntilGone } from '../../../../src/main/embedded/processes.js';
import { readEmbeddedPaths } from '../../../../src/main/embedded/paths.js';
import { isStrataError } from '../../../../src/shared/errors.js';
import { createDataDirectories, type DataDirectories } from './support.js';

describe('startEmbedded', () => {
  let directories: DataDirectories;

  before(async () => {
    directories = await createDataDirectories();
  });

  after(() => directories.close());

  it('starts both servers on private sockets and creates the database with its user', async () => {
    const services = await startEmbedded({ dataDir: await directories.absent() });
    const connection = await createConnection({
      socketPath: services.database.socketPath,
      user: services.database.user,
      database: services.database.name,
    });
    const [rows] = await connection.query(
      'SELECT @@time_zone AS zone, @@character_set_server AS charset, @@innodb_flush_log_at_trx_commit AS flush, @@skip_networking AS offline',
    );
    await connection.end();
    expect(rows).to.deep.equal([{ zone: '+00:00', charset: 'utf8mb4', flush: 1, offline: 1 }]);
    expect((await stat(join(services.redis.socketPath, '..'))).mode & 0o077).to.equal(0);
    await services.close();
  });

  it('adopts the servers that run already', async () => {
    const dataDir = await directories.initialised();
    const first = await startEmbedded({ dataDir });
    const second = await startEmbedded({ dataDir });
    expect(second.redis).to.deep.equal({ ...first.redis, adopted: true });
    expect(second.database).to.deep.equal({ ...first.database, adopted: true });
    await first.close();
  });

  it('gives two concurrent starts the same servers', async () => {
    const dataDir = await directories.initialised();
    const [one, two] = await Promise.all([startEmbedded({ dataDir }), startEmbedded({ dataDir })]);
    expect(one.redis.pid).to.equal(two.redis.pid);
    expect(one.database.pid).to.equal(two.database.pid);
    expect([one.database.adopted, two.database.adopted]).to.have.members([true, false]);
    await one.close();
  });

  it('keeps what was committed when both servers are killed', async () => {
    const dataDir = await directories.initialised();
    const first = await startEmbedded({ dataDir });
    await write(first.database.socketPath, first.redis.socketPath);
    process.kill(first.database.pid, 'SIGKILL');
    process.kill(first.redis.pid, 'SIGKILL');
    await waitUntilGone([first.database.pid, first.redis.pid], 5000);
    const second = await startEmbedded({ dataDir });
    expect(await read(second.database.socketPath, second.redis.socketPath)).to.deep.equal(['kept', 'kept']);
    await second.close();
  });

  it('is not misled by pid files and sockets that a killed server left', async () => {
    const dataDir = await directories.initialised();
    await mkdir(join(dataDir, 'run'), { mode: 0o700 });
    // The pid of a process that lives and is none of ours to stop.
    for (const name of ['redis.pid', 'mariadb.pid']) {
      await writeFile(join(dataDir, 'run', name), `${process.ppid}\n`);
    }
    for (const name of ['redis.sock', 'mariadb.sock']) await writeFile(join(dataDir, 'run', name), '');
    const services = await startEmbedded({ dataDir });
    expect(services.redis.adopted).to.equal(false);
    await services.close();
    expect(await isRunning(process.ppid)).to.equal(true);
  });

  it('repairs an initialisation that was killed in the middle', async () => {
    const dataDir = await directories.absent();
    const child = startInChild(dataDir);
    await untilInitialising(dataDir);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await readdir(dataDir)).to.not.include('mariadb');
    const services = await startEmbedded({ dataDir });
    expect((await embeddedStatus({ dataDir })).database.state).to.equal('running');
    expect((await readdir(dataDir)).filter((name) => name.startsWith('mariadb.init-'))).to.deep.equal([]);
    await services.close();
  });

  it('works in a data directory whose path is too long for a socket and has odd characters', async () => {
    const dataDir = await directories.initialised(`${'deep'.repeat(30)} &#%`);
    const services = await startEmbedded({ dataDir });
    expect(Buffer.byteLength(services.database.socketPath)).to.be.at.most(107);
    expect((await embeddedStatus({ dataDir })).redis.state).to.equal('running');
    await services.close();
    await expectAbsent(join(services.redis.socketPath, '..'));
  });

  it('names the missing programs and their packages', async () => {
    const { PATH } = process.env;
    process.env['PATH'] = '/nonexistent';
    try {
      const error: unknown = await startEmbedded({ dataDir: await directories.absent() }).catch((e) => e);
      expect(isStrataError(error, 'tool_missing')).to.equal(true);
      expect(error).to.have.property('message').that.includes('apt-get install redis-server');
    } finally {
      process.env['PATH'] = PATH;
    }
  });

  it('starts no server that an address of the user replaces', async () => {
    const dataDir = await directories.absent();
    const settings = readSettings({ STRATA_DATABASE_URL: 'mysql://u:p@127.0.0.1:1/d' }, dataDir);
    const urls = await startServices(settings, { dataDir, log: () => undefined, signal: undefined });
    expect(urls.databaseUrl).to.equal(settings.databaseUrl);
    const { redis, database } = await embeddedStatus({ dataDir });
    expect({ redis: redis.state, database: database.state }).to.eql({
      redis: 'running',
      database: 'stopped',
    });
    expect(await readdir(dataDir)).to.not.include('mariadb');
  });

  it('shows the end of the log when a server cannot start', async () => {
    const dataDir = await directories.initialised();
    await writeFile(join(dataDir, 'mariadb', 'ibdata1'), 'not a tablespace');
    const error: unknown = await startEmbedded({ dataDir }).catch((e) => e);
    expect(isStrataError(error, 'service_failed')).to.equal(true);
    expect(error).to.have.property('message').that.includes('InnoDB');
    await stopEmbedded({ dataDir });
  });
});

describe('stopEmbedded', () => {
  let directories: DataDirectories;

  before(async () => {
    directories = await createDataDirectories();
  });

  after(() => directories.close());

  it('leaves no process, socket or pid file', async () => {
    const dataDir = await directories.initialised();
    const services = await startEmbedded({ dataDir });
    await stopEmbedded({ dataDir });
    expect(await isRunning(services.redis.pid)).to.equal(false);
    expect(await isRunning(services.database.pid)).to.equal(false);
    expect(await readdir(join(dataDir, 'run'))).to.deep.equal(['lock-name']);
    const left = (await ownProcesses()).filter(({ argv }) => argv.some((arg) => arg.includes(dataDir)));
    expect(left).to.deep.equal([]);
  });

  it('does not touch the servers of another data directory', async () => {
    const [mine, other] = [await directories.initialised(), await directories.initialised()];
    const theirs = await startEmbedded({ dataDir: other });
    await startEmbedded({ dataDir: mine });
    await stopEmbedded({ dataDir: mine });
    expect((await embeddedStatus({ dataDir: other })).database.pid).to.equal(theirs.database.pid);
    await theirs.close();
  });

  it('does nothing when nothing runs', async () => {
    const dataDir = await directories.absent();
    await stopEmbedded({ dataDir });
    expect((await embeddedStatus({ dataDir })).redis.state).to.equal('stopped');
    expect(await findMariadb(await readEmbeddedPaths(dataDir))).to.deep.equal([]);
  });
});

async function write(databaseSocket: string, redisSocket: string): Promise<void> {
  const connection = await createConnection({
    socketPath: databaseSocket,
    user: 'strata',
    database: 'strata',
  });
  await connection.query('CREATE TABLE t (v VARCHAR(10))');
  await connection.query("INSERT INTO t VALUES ('kept')");
  await connection.end();
  const redis = new Redis({ path: redisSocket });
  await redis.set('k', 'kept');
  // `everysec`: wait for the append-only file instead of for a second.
  await redis.call('WAITAOF', '1', '0', '5000').catch(() => new Promise((r) => setTimeout(r, 2100)));
  redis.disconnect();
}

async function read(databaseSocket: string, redisSocket: string): Promise<unknown[]> {
  const connection = await createConnection({
    socketPath: databaseSocket,
    user: 'strata',
    database: 'strata',
  });
  const [rows] = await connection.query<(RowDataPacket & { v: string })[]>('SELECT v FROM t');
  await connection.end();
  const redis = new Redis({ path: redisSocket });
  const value = await redis.get('k');
  redis.disconnect();
  return [rows[0]?.v, value];
}

function startInChild(dataDir: string) {
  const module = new URL('../../../../src/main/embedded/index.js', import.meta.url).href;
  const program = `import { startEmbedded } from ${JSON.stringify(module)};
    await startEmbedded({ dataDir: ${JSON.stringify(dataDir)} });`;
  return spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore' });
}

/** Until the server that makes the system tables has written its first files. */
async function untilInitialising(dataDir: string): Promise<void> {
  for (;;) {
    const names = await readdir(dataDir).catch(() => []);
    const draft = names.find((name) => name.startsWith('mariadb.init-'));
    if (draft && (await readdir(join(dataDir, draft)).catch(() => [])).length > 2) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function expectAbsent(path: string): Promise<void> {
  const error: unknown = await stat(path).catch((e) => e);
  expect(error).to.have.property('code', 'ENOENT');
}
