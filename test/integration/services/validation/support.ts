import { tmpdir } from 'node:os';
import type { DataSource } from 'typeorm';
import {
  BackupChain,
  BackupJob,
  MaintenanceJob,
  type ValidateParams,
} from '../../../../src/entities/index.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { runValidation, type ValidationReport } from '../../../../src/services/validation/index.js';
import type { ChainFixture } from '../../../helpers/chainFixture.js';
import { addValidation, hold } from '../../../helpers/chainJobs.js';
import { underLease } from '../../../../src/services/job/under.js';

/** What a validation needs of its worker. */
export const depsOf = (ds: DataSource) => ({ ds, clock: systemClock, scratchDir: tmpdir() });

/** Validates a chain as a worker does, and reads back what the catalogue then says. */
export async function validate(
  ds: DataSource,
  chain: Pick<ChainFixture, 'chainId' | 'repositoryId'>,
  params: ValidateParams = { level: 'quick' },
): Promise<ValidationReport> {
  const jobId = await addValidation(ds, chain, params);
  const held = await hold(ds, 'maintenance', jobId);
  const { result } = await runValidation(underLease(depsOf(ds), held, () => undefined));
  const job = await ds.getRepository(MaintenanceJob).findOneByOrFail({ id: jobId });
  if (job.status !== 'completed') throw new Error(`The job is ${job.status}.`);
  return job.result as unknown as typeof result;
}

/** `2:image_corrupt`: the backup's number in the chain (from 1) and the code, sorted; without a number where there is none. */
export function codes(chain: ChainFixture, report: ValidationReport): string[] {
  const numbers = new Map(chain.backups.map(({ id }, index) => [id, index + 1]));
  return report.findings
    .map(({ code, backup_id: id }) => (id === undefined ? code : `${numbers.get(id) ?? id}:${code}`))
    .toSorted();
}

/** Health of the backups in the catalogue, oldest first, and that of the chain. */
export async function healths(
  ds: DataSource,
  chain: ChainFixture,
): Promise<{ backups: string; chain: string }> {
  const rows = await ds
    .getRepository(BackupJob)
    .find({ where: { chainId: chain.chainId, status: 'completed' }, order: { seq: 'ASC' } });
  const { health } = await ds.getRepository(BackupChain).findOneByOrFail({ id: chain.chainId });
  return { backups: rows.map((row) => row.health).join(' '), chain: health };
}
