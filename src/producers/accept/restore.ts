import type { JobStatus } from '../../shared/jobs.js';
import type { RestoreAccepted, RestoreCreate } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import { placeOfBackup } from '../../db/chain/place.js';
import { addRestoreJob } from '../../db/job/addJob.js';
import { readReach } from '../../db/chain/layerProofs.js';
import { allRepositories } from '../../db/repository/repositories.js';
import { checkRestorable, type RestoreWish } from '../../services/restore/plan.js';
import { byId, lineageOf, loadLayers } from '../../services/chain/index.js';
import { checkPathUnder, type PathRules } from '../../shared/pathRules.js';
import { StrataError } from '../../shared/errors.js';
import { isUnder } from '../../shared/files.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce } from './once.js';

/** Room is left for the names of temporary files. */
const targetPaths = (roots: readonly string[]): PathRules => ({
  roots,
  what: 'a restore',
  setting: 'STRATA_RESTORE_ROOTS',
  remedy: 'that variable, for all processes',
  longestPath: 3_500,
  longestName: 200,
});

/**
 * Accepts a restore of one backup to a file or block device. Whether the target is free is seen by the worker, whose
 * host writes it.
 * @throws wrong_state when the backup has not completed
 * @throws backup_damaged when it, or what it stands on, is known to be damaged, or is suspect and `verify` is false
 * @throws invalid_request for `allow_damaged` without `verify`
 * @throws path_not_allowed for a target outside of the allowed directories, or in a repository
 */
export async function acceptRestore(
  deps: AcceptDeps,
  body: RestoreCreate,
  idempotency?: Idempotency,
): Promise<RestoreAccepted> {
  checkPathUnder(body.target.path, targetPaths(deps.settings.restoreRoots), 'target.path');
  await assertOutsideRepositories(deps, body.target.path);
  return acceptOnce(deps, idempotency, async (tx) => {
    const backup = await placeOfBackup(tx, body.backup_id);
    if (!backup)
      throw new StrataError('not_found', `There is no backup ${body.backup_id}.`, { field: 'backup_id' });
    const { verify = true, allow_damaged: allowDamaged = false } = body;
    await assertRestorable(tx, backup, body.backup_id, { verify, allowDamaged });
    const { id, status, delivery } = await addRestoreJob(tx, {
      place: backup,
      backupId: body.backup_id,
      target: body.target,
      format: body.format,
      verify,
      allowDamaged,
      maxBytesPerSecond: body.max_bytes_per_second,
      deadlineSeconds: body.deadline_seconds,
      now: deps.clock.now(),
    });
    return { answer: { restore_id: id, status }, deliveries: delivery ? [delivery] : [] };
  });
}

/** By the names alone: the worker looks where they lead. */
async function assertOutsideRepositories({ ds }: AcceptDeps, path: string): Promise<void> {
  const inside = (await allRepositories(ds)).find(({ rootPath }) => isUnder(path, rootPath));
  if (!inside) return;
  throw new StrataError(
    'path_not_allowed',
    `${path} lies in the repository ${inside.name} (${inside.rootPath}); nothing is restored into one.`,
    { field: 'target.path' },
  );
}

/** Judges the backup and all that it stands on, as the worker will: what is known now need not fail as a job. */
async function assertRestorable(
  tx: EntityManager,
  { chainId, status }: { chainId: string; status: JobStatus },
  id: string,
  wish: RestoreWish,
): Promise<void> {
  const layers = byId(await loadLayers(tx, chainId));
  const reach = await readReach(tx, id);
  checkRestorable({ id, status, ...lineageOf(layers, id), reach }, wish);
}
