import { join } from 'node:path';
import { contentId, indexLayer } from '../../../datapath/index.js';
import { chainInfo } from '../../../qcow2/index.js';
import { abortReason } from '../../../shared/abort.js';
import { asStrataError, StrataError } from '../../../shared/errors.js';
import { partialFiles } from '../../repository/layout.js';
import { type Attempt, type BackupOutcome, type Begun, nameFiles, type Names } from '../attempt.js';
import { writeAndPublish } from '../writeAndPublish.js';
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
export async function runPush(begun: Begun, adopted: Adopted | undefined): Promise<BackupOutcome> {
  const { context, held } = begun;
  if (adopted) {
    const { pushed, plan } = adopted;
    const names = { files: pushed.files, partial: partialFiles(pushed.files, held.lease.fence) };
    return indexAndPublish({ ...begun, virtualSize: pushed.virtualSize }, plan, names, async () => pushed);
  }
  const { virtualSize } = context.job;
  if (virtualSize === null)
    throw new StrataError('invalid_request', 'A pushed disk needs a size.', { field: 'virtual_size' });
  const attempt = { ...begun, virtualSize };
  const plan = await usablePlan(attempt);
  const names = await nameFiles(attempt, plan);
  return indexAndPublish(attempt, plan, names, () => receive({ ...attempt, ...names, plan }));
}

async function indexAndPublish(
  attempt: Attempt,
  plan: BackupPlan,
  names: Names,
  received: () => Promise<PushedStep>,
): Promise<BackupOutcome> {
  const { signal } = attempt.io;
  let accepted = false;
  const write = async () => {
    const { bytesTransferred, changeId } = await received();
    accepted = true;
    await index(attempt, plan, names);
    return { bytesTransferred, changeId };
  };
  // The agent was told that it may go: what it wrote is given up with the job only.
  const keepsImage = (error: StrataError) => {
    const reason = signal.aborted ? asStrataError(abortReason(signal)) : error;
    return accepted && reason.outcome !== 'give_up';
  };
  return writeAndPublish(attempt, plan, names, write, keepsImage);
}

async function index({ io, context, virtualSize, report }: Attempt, plan: BackupPlan, names: Names) {
  const { root } = context;
  await indexLayer({
    image: join(root, names.partial.image),
    overlay: plan.type !== 'full',
    digestPath: join(root, names.partial.digests),
    virtualSizeBytes: virtualSize,
    backupId: context.job.id,
    scratchDir: io.scratchDir,
    signal: io.signal,
    onProgress: ({ bytesDone, bytesTotal }) =>
      report({ phase: 'indexing', bytes_done: bytesDone, bytes_total: bytesTotal }),
  });
}

/**
 * The plan, with everything read that an increment will stand on: once the agent has written its changes, it is too late
 * for a full. What cannot be read becomes one now, and the agent is told so before it writes.
 */
async function usablePlan(attempt: Attempt): Promise<BackupPlan> {
  const { context, io, virtualSize } = attempt;
  const plan = planJob(context, { virtualSize, bitmapMissing: false, sizeChanges: null });
  if (plan.parent === null) return plan;
  const layers = layersOf(context, plan.parent.id);
  const { root } = context;
  try {
    await chainInfo(join(root, layers[0].path), io);
    const size = plan.parent.virtualSize;
    await contentId({ layers: digestPaths(root, layers), virtualSizeBytes: size, ...io });
    return plan;
  } catch (error) {
    const full = await fullInstead(attempt, plan, error);
    if (!full) throw error;
    return full;
  }
}
