import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupChain, BackupJob } from '../../../../src/entities/index.js';
import { finishHalfSwitch } from '../../../../src/services/consolidation/index.js';
import { runValidation } from '../../../../src/services/validation/index.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { addValidation, hold } from '../../../helpers/chainJobs.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';
import { startVictim } from '../../../helpers/mergeVictim.js';
import { underLease } from '../../../../src/services/job/under.js';

describe('A consolidation that is cancelled after its worker died in the middle of the switch', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  before(async () => {
    bench = await openMergeBench(linearChain(3));
  });
  after(() => bench.close());

  /** Numbers of the operations of a run: the one that gives the merged image its name, and the next one. */
  const findSwitch = async (): Promise<number[]> => {
    const log = join(bench.suite.tempDir, 'operations');
    const counted = startVictim(bench, 'in_place', { STRATA_TEST_KILL_LOG: log });
    expect((await counted.run(await bench.add(bench.at(1), bench.at(2)))).code).to.equal(0);
    const operations = (await readFile(log, 'utf8')).trim().split('\n');
    const at = operations.findIndex((line) => /rename .*qcow2\.\d+\.partial/.test(line)) + 1;
    return [at, at + 1];
  };

  it('is settled by whatever job comes next, on either side of the rename, and ended by the next consolidation', async () => {
    const kept = [bench.at(3), bench.at(4)];
    const parents: (string | null)[] = [];
    for (const at of await findSwitch()) {
      await bench.reset();
      const jobId = await bench.add(bench.at(1), bench.at(2));
      const victim = startVictim(bench, 'in_place', { STRATA_TEST_KILL_AT: String(at) });
      expect((await victim.run(jobId)).signal).to.equal('SIGKILL');
      const chainId = bench.chain.chainId;
      const chain = () => bench.ds.getRepository(BackupChain).findOneByOrFail({ id: chainId });
      expect((await chain()).mergingBackupId).to.equal(bench.at(3).id);
      await bench.ds.query(`UPDATE maintenance_jobs SET status = 'cancelled' WHERE id = ?`, [jobId]);
      await bench.ds.query('UPDATE backup_chains SET lease_until = NULL');
      const validation = await addValidation(bench.ds, bench.chain);
      const held = await hold(bench.ds, 'maintenance', validation);
      const deps = { ds: bench.ds, clock: systemClock, scratchDir: bench.suite.tempDir };
      const under = underLease(deps, held, () => undefined);
      await finishHalfSwitch(under);
      await bench.comparePoints(kept, 'settled');
      await bench.expectRebuildable(kept, 'settled');
      expect((await chain()).mergingBackupId).to.equal(null);
      const { result } = await runValidation(under);
      expect(result.findings.filter(({ severity }) => severity === 'error')).to.deep.equal([]);
      expect(result.chain_health).to.equal('ok');
      const row = await bench.ds.getRepository(BackupJob).findOneByOrFail({ id: bench.at(3).id });
      parents.push(row.parentBackupId);
      await bench.attempt(await bench.add());
      await bench.comparePoints(kept, 'finished');
      await bench.expectDone(kept, 'finished');
    }
    expect(parents).to.deep.equal([bench.at(2).id, null]);
  });
});
