import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readSteps } from '../../../../src/db/job/journal.js';
import { BackupJob, MaintenanceJob, type VerifyBackup } from '../../../../src/entities/index.js';
import { acceptBackup } from '../../../../src/producers/accept/index.js';
import type { ValidationReport } from '../../../../src/services/validation/index.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { keptUntil } from '../../../helpers/keeping.js';
import { namesBelow } from '../../../helpers/namesBelow.js';

const MIB = 1024 * 1024;

describe('A backup that asks for a validation', function () {
  this.timeout(30_000);
  let fleet: TestFleet;
  let vm = '';
  let made = 0;
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: 2_000, renewEveryMs: 500 } });
  });
  beforeEach(async () => {
    vm = `vm-${++made}`;
    await change();
  });
  afterEach(() => fleet.stopWorking());
  after(() => fleet.close());

  const change = () => writeFile(join(fleet.sources, `${vm}.raw`), randomBytes(2 * MIB));
  const backUp = async (verify?: VerifyBackup): Promise<string> => {
    const source = { type: 'file', path: join(fleet.sources, `${vm}.raw`), format: 'raw' } as const;
    const answer = await acceptBackup(fleet.accept, {
      vm_name: vm,
      repository_id: 'main',
      backup_type: 'auto',
      disks: [{ disk_id: 0, source }],
      ...(verify ? { verify } : {}),
    });
    return answer.disk_results[0]?.backup_id ?? '';
  };
  /** Validations of the VM's chain, oldest first. */
  const validations = (): Promise<MaintenanceJob[]> =>
    fleet.suite.ds
      .getRepository(MaintenanceJob)
      .createQueryBuilder('m')
      .where(
        'm.chainId IN (SELECT c.id FROM backup_chains c JOIN vm_contexts v USING (vm_context_id) WHERE v.vm_name = :vm)',
        { vm },
      )
      .orderBy('m.seq')
      .getMany();
  const waitUntil = async (holds: () => Promise<boolean>) => {
    for (const deadline = performance.now() + 10_000; !(await holds()); ) {
      if (performance.now() > deadline) throw new Error('It does not come.');
      await fleet.accept.clock.sleep(20);
    }
  };
  const reportOf = async (number: number): Promise<ValidationReport> => {
    const job = (await validations())[number - 1];
    expect((await fleet.ended(job?.id ?? '')).status).to.equal('completed');
    return (await validations())[number - 1]?.result as unknown as ValidationReport;
  };

  it('has it queued when it has completed, behind every backup in priority', async () => {
    fleet.work();
    expect((await fleet.ended(await backUp('after'))).status).to.equal('completed');
    const [job, ...others] = await validations();
    expect(others).to.deep.equal([]);
    expect(job).to.deep.include({ type: 'validate', params: { level: 'quick' } });
    expect(job?.priority).to.be.greaterThan(1000);
    expect(await reportOf(1)).to.include({ level: 'quick', healthy: true });
    await fleet.ended(await backUp());
    expect(await validations()).to.have.length(1);
  });

  it('completes with it or not at all: while the one cannot be written, nor is the other', async () => {
    const { ds } = fleet.suite;
    // As if the connection were lost at this statement.
    await ds.query(
      `CREATE TRIGGER refuse BEFORE INSERT ON maintenance_jobs FOR EACH ROW
       SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1317`,
    );
    fleet.work();
    const id = await backUp('after');
    const isPublished = async () =>
      (await readSteps(ds, id)).some(({ step }) => step === 'publish') &&
      (await namesBelow(fleet.repositoryRoot)).some(
        (name) => name.startsWith(`${vm}-`) && name.endsWith('.qcow2'),
      );
    try {
      await waitUntil(isPublished);
      await fleet.accept.clock.sleep(300);
      const row = await ds.getRepository(BackupJob).findOneByOrFail({ id });
      expect(row.status).to.equal('running');
    } finally {
      await ds.query('DROP TRIGGER refuse');
    }
    expect((await keptUntil(fleet, () => fleet.ended(id))).status).to.equal('completed');
    expect((await reportOf(1)).healthy).to.equal(true);
  });

  it('gets it also where nothing came after the commit, not even the queue entry', async () => {
    fleet.work();
    const { queue } = fleet.worker;
    const tried = new Promise<void>((resolve) => {
      fleet.worker.queue = {
        ...queue,
        deliver: async () => {
          resolve();
          throw new Error('Dead by now.');
        },
      };
    });
    const id = await backUp('after');
    await tried;
    fleet.worker.queue = queue;
    expect((await fleet.ended(id)).status).to.equal('completed');
    const [job] = await validations();
    expect(job?.status).to.equal('released');
    await keptUntil(fleet, () => fleet.ended(job?.id ?? ''));
    expect((await reportOf(1)).healthy).to.equal(true);
  });

  it('shares it with the backups that wait behind it', async () => {
    const ids = [await backUp('after'), await backUp('after'), await backUp()];
    fleet.work();
    for (const id of ids) expect((await fleet.ended(id)).status).to.equal('completed');
    const report = await reportOf(1);
    expect(report.backups.map(({ backup_id }) => backup_id)).to.deep.equal(ids);
    expect(await validations()).to.have.length(1);
  });

  it('deeply has read what was never read, and not again what was', async () => {
    fleet.work();
    await fleet.ended(await backUp('after_deep'));
    expect((await reportOf(1)).read).to.include({ files: 1, bytes: 2 * MIB, complete: true });
    await change();
    await fleet.ended(await backUp('after_deep'));
    const report = await reportOf(2);
    expect(report.read).to.include({ files: 1, bytes: 2 * MIB, complete: true });
    expect(report.backups.map(({ proved_at }) => proved_at !== null)).to.deep.equal([true, true]);
  });
});
