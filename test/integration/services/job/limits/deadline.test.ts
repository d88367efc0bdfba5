import type { BackupCreate } from '../../../../../src/contract/index.js';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { acceptBackup, acceptRestore } from '../../../../../src/producers/accept/index.js';
import { makeDisk } from '../../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../../helpers/fleet.js';
import { startNbdkit } from '../../../../helpers/nbdServers.js';
import { findRunProcesses } from '../../../../helpers/runProcesses.js';
import { filesBelow } from '../../../../helpers/namesBelow.js';

const MIB = 1024 * 1024;
/** So slow that nothing ends by itself. */
const CRAWL = 64 * 1024;
/** Between a job's deadline and its end, on a busy machine. */
const SLACK_MS = 4_000;

describe('The deadline of a job', function () {
  this.timeout(30_000);
  let fleet: TestFleet;
  let disk: string;
  before(async () => {
    fleet = await openFleet({ lease: { maxAttempts: 10 } });
    disk = join(fleet.sources, 'disk.raw');
    await makeDisk(disk, 8 * MIB, [[0, 2 * MIB]]);
    fleet.work();
  });
  after(() => fleet.close());

  const accept = async (
    vm: string,
    wish: Pick<BackupCreate, 'deadline_seconds' | 'max_bytes_per_second'>,
    uri?: string,
  ) => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name: vm,
      repository_id: 'main',
      backup_type: 'full',
      disks: [
        {
          disk_id: 0,
          source: uri === undefined ? { type: 'file', path: disk, format: 'raw' } : { type: 'nbd', uri },
        },
      ],
      ...wish,
    });
    return answer.disk_results[0]?.backup_id ?? '';
  };
  const msOf = async (id: string) => {
    const [row] = await fleet.suite.ds.query<{ ms: string }[]>(
      `SELECT TIMESTAMPDIFF(MICROSECOND, started_at, completed_at) DIV 1000 AS ms
       FROM ${id.startsWith('rst') ? 'restore_jobs' : 'backup_jobs'} WHERE id = ?`,
      [id],
    );
    return Number(row?.ms);
  };
  const filesIn = async (root: string) => (await filesBelow(root)).map((path) => basename(path));
  const tools = async () =>
    (await findRunProcesses(fleet.suite.tempDir, [])).filter(({ argv }) =>
      argv.some((arg) => arg.includes('qemu-')),
    );

  it('ends a running backup, leaves neither process nor file, and the next of the chain runs with all of its own', async () => {
    const late = await accept('web', { deadline_seconds: 5, max_bytes_per_second: CRAWL });
    const next = await accept('web', { deadline_seconds: 5 });
    expect(await fleet.ended(late)).to.include({ status: 'failed', error_code: 'deadline_exceeded' });
    expect(await msOf(late)).to.be.within(4_990, 5_000 + SLACK_MS);
    // It waited for as long as its deadline is.
    expect(await fleet.ended(next)).to.include({ status: 'completed' });
    expect(await tools()).to.deep.equal([]);
    const files = await filesIn(fleet.repositoryRoot);
    expect(files.filter((name) => name.includes('partial'))).to.deep.equal([]);
    expect(files.filter((name) => name.endsWith('.qcow2'))).to.have.length(1);
  });

  it('ends a running restore, and leaves nothing where it would have written', async () => {
    const full = await accept('db', {});
    await fleet.ended(full);
    const { restore_id } = await acceptRestore(fleet.accept, {
      backup_id: full,
      target: { type: 'file', path: join(fleet.restores, 'late.raw') },
      format: 'raw',
      deadline_seconds: 1,
      max_bytes_per_second: CRAWL,
    });
    expect(await fleet.ended(restore_id)).to.include({ status: 'failed', error_code: 'deadline_exceeded' });
    expect(await msOf(restore_id)).to.be.within(990, 1_000 + SLACK_MS);
    expect(await filesIn(fleet.restores)).to.deep.equal([]);
    expect(await tools()).to.deep.equal([]);
  });

  it('counts from the first attempt over all of them and the pauses between, and tells what they failed of', async () => {
    const server = await startNbdkit('--filter=error', 'file', disk, 'error-pread-rate=100%');
    try {
      // Attempts at 0 s and 2 s; the pause after the second one ends with the deadline.
      const id = await accept('sick', { deadline_seconds: 4 }, server.uri());
      const end = await fleet.ended(id);
      expect(end).to.include({ status: 'failed', error_code: 'deadline_exceeded' });
      expect(end.error_detail).to.contain('within 4 s of its first start').and.to.contain('ended with');
      expect(await msOf(id)).to.be.within(3_990, 4_000 + SLACK_MS);
    } finally {
      await server.stop();
    }
  });
});
