import { join } from 'node:path';
import { contentId, indexLayer } from '../../../datapath/index.js';
import { chainInfo } from '../../../qcow2/index.js';
import { abortReason } from '../../../shared/abort.js';
import { asStrataError, StrataError } from '../../../shared/errors.js';
import { partialFiles } from '../../repository/layout.js';
import { type Attempt, type BackupOutcome, nameFiles, type Names, writeAndPublish } from '../attempt.js';
import { fullInstead } from '../fallback.js';
import type { BackupPlan } from '../../chain/index.js';
import { planJob } from '../context.js';
import { digestPaths, layersOf } from '../transfer.js';
import type { Adopted, PushedStep } from './pushedStep.js';
import { receive } from './receive.js';

/**
 * A backup whose image an agent writes. Up to its completion everything is begun anew by the next attempt, with an export
 * of another name; from then on the image is kept, whatever happens but a failure for good, and the next attempt goes on
 * with it (docs/decisions/0011-push-mode.md).
 * @param adopted what an earlier attempt has received
 */
export async function runPush(
  input: Omit<Attempt, 'virtualSize'>,
  adopted: Adopted | undefined,
): Promise<BackupOutcome> {
  const { context, held } = input;
  if (adopted) {
    const { pushed, plan } = adopted;
    const names = { files: pushed.files, partial: partialFiles(pushed.files, held.lease.fence) };
    return indexAndPublish({ ...input, virtualSize: pushed.virtualSize }, plan, names, async () => pushed);
  }
  const { virtualSize } = context.job;
  if (virtualSize === null)
    throw new StrataError('invalid_request', 'A pushed disk needs a size.', { field: 'virtual_size' });
  const attempt = { ...input, virtualSize };
  const plan = await usablePlan(attempt);
  const names = await nameFiles(attempt, plan);
  return indexAndPublish(attempt, plan, names, () => receive({ ...attempt, plan, names }));
}

async function indexAndPublish(
  attempt: Attempt,
  plan: BackupPlan,
  names: Names,
  received: () => Promise<PushedStep>,
): Promise<BackupOutcome> {
  const { held } = attempt;
  let accepted = false;
  const write = async () => {
    const { bytesTransferred, changeId } = await received();
    accepted = true;
    await index(attempt, plan, names);
    return { bytesTransferred, changeId };
  };
  // The agent was told that it may go: what it wrote is given up with the job only.
  const keepsImage = (error: StrataError) => {
    const reason = held.signal.aborted ? asStrataError(abortReason(held.signal)) : error;
    return accepted && reason.outcome !== 'give_up';
  };
  return writeAndPublish(attempt, plan, names, write, keepsImage);
}

async function index({ deps, held, context, virtualSize, report }: Attempt, plan: BackupPlan, names: Names) {
  const root = context.repository.rootPath;
  await indexLayer({
    image: join(root, names.partial.image),
    overlay: plan.type !== 'full',
    digestPath: join(root, names.partial.digests),
    virtualSizeBytes: virtualSize,
    backupId: context.job.id,
    scratchDir: deps.scratchDir,
    signal: held.signal,
    onProgress: ({ bytesDone, bytesTotal }) =>
      report({ phase: 'indexing', bytes_done: bytesDone, bytes_total: bytesTotal }),
  });
}

/**
 * The plan, with everything read that an increment will stand on: once the agent has written its changes, it is too late
 * for a full. What cannot be read becomes one now, and the agent is told so before it writes.
 */
async function usablePlan({ context, held, virtualSize }: Attempt): Promise<BackupPlan> {
  const plan = planJob(context, { virtualSize, bitmapMissing: false, sizeChanges: null });
  if (plan.parent === null) return plan;
  const layers = layersOf(context, plan.parent.id);
  const root = context.repository.rootPath;
  try {
    await chainInfo(join(root, layers[0].path), { signal: held.signal });
    const size = plan.parent.virtualSize;
    await contentId({ layers: digestPaths(root, layers), virtualSizeBytes: size, signal: held.signal });
    return plan;
  } catch (error) {
    const full = await fullInstead(context, plan, error, held.signal);
    if (!full) throw error;
    return full;
  }
}
