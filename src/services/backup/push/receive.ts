import { basename, join } from 'node:path';
import {
  openPushExport,
  type PushExport,
  readGateCredentials,
  type Traffic,
} from '../../../datapath/index.js';
import { socketIn } from '../../../datapath/sources/index.js';
import {
  acceptCompletion,
  agentFailed,
  type AgentReport,
  announceExport,
  type AskedCompletion,
  readReport,
  refuseCompletion,
  withdrawExport,
} from '../../../db/push/exports.js';
import type { PushOffer } from '../../../entities/index.js';
import { createImage } from '../../../qcow2/index.js';
import { isReadWaiting } from '../../../db/job/waiting.js';
import { isStrataError, StrataError } from '../../../shared/errors.js';
import { randomPart } from '../../../shared/ids.js';
import type { NewBackup } from '../attempt.js';
import { layersOf } from '../transfer.js';
import { judgePush } from './judge.js';
import { type ExportAddress, exportUri, withGate } from './gate.js';
import { PUSHED_STEP, type PushedStep } from './pushedStep.js';
import type { Clock } from '../../../shared/clock.js';

/** How often the worker looks for what the agent has said, in ms. */
const POLL_MS = 300;
const CLOSING_MS = 500;
/** Longer than the receiver of progress takes to thin it out. */
const TELL_MS = 2_000;

/**
 * Lets an agent write the temporary image: opens an export of it, tells of it, and waits for the agent's completion. When
 * it returns, the export is closed, what was written is on stable storage, the journal says so, and the agent has been
 * told that it may go. When it throws, nobody can write any more and the port is free.
 * @throws push_agent_failed, push_agent_silent, push_agent_awaited, push_ports_exhausted, no_space, tool_failed, or the lease's reason
 */
export async function receive(attempt: NewBackup): Promise<PushedStep> {
  const { deps, held, io, context } = attempt;
  const { failedReason } = await readReport(deps.ds, held.lease);
  if (failedReason !== null) throw agentFailed(failedReason);
  const image = await makeImage(attempt);
  const { push } = deps;
  const terms = {
    exportName: `${context.job.id}-${randomPart(26)}`,
    credentials: push.tls === 'none' ? undefined : await readGateCredentials(push.tls, push.tlsDir),
    serverSocket: socketIn(io.scratchDir),
  };
  return withGate(attempt, terms, async (gate, address) => {
    const exported = await openPushExport(gate, {
      image,
      serverSocket: terms.serverSocket,
      connections: push.connections,
      virtualSizeBytes: attempt.virtualSize,
      parentSizeBytes: attempt.plan.parent?.virtualSize,
      signal: io.signal,
    });
    try {
      await announceExport(deps.ds, held.lease, offerOf(attempt, address, terms.exportName));
      return await untilCompleted(attempt, exported);
    } finally {
      await exported.abandon();
      await withdraw(attempt);
    }
  });
}

/** Empty, or an overlay on the parent: its content is the parent's until the agent writes. */
async function makeImage({ context, plan, partial, virtualSize, io }: NewBackup): Promise<string> {
  const image = join(context.root, partial.image);
  // A relative name in the same directory: a copied tree restores with plain tools (invariant 10).
  const backing = plan.parent && {
    name: basename(layersOf(context, plan.parent.id)[0].path),
    format: 'qcow2' as const,
  };
  await createImage(image, { virtualSizeBytes: virtualSize, ...(backing ? { backing } : {}) }, io);
  return image;
}

function offerOf(
  { deps, context, plan, virtualSize }: NewBackup,
  address: ExportAddress,
  exportName: string,
): PushOffer {
  const { tls, connections } = deps.push;
  return {
    uri: exportUri(address, exportName, tls),
    export_name: exportName,
    ...address,
    tls,
    connections,
    backup_type: plan.type,
    demoted_reason: plan.demotedReason,
    parent_backup_id: plan.parent?.id ?? null,
    since_change_id: plan.parent ? context.job.sinceChangeId : null,
    virtual_size: virtualSize,
  };
}

async function untilCompleted(attempt: NewBackup, exported: PushExport): Promise<PushedStep> {
  const { deps, held, io, plan } = attempt;
  const silence = createSilence(deps.clock);
  const tell = progressTeller(attempt);
  for (;;) {
    const report = await heardFrom(attempt);
    if (report) {
      // A connection that the agent has just closed is read to its end first: that is no reason to refuse.
      if (report.asked && exported.traffic().inside > 0) await deps.clock.sleep(CLOSING_MS, io.signal);
      const traffic = exported.traffic();
      const silentMs = silence.since(`${traffic.bytes} ${report.telemetry} ${report.asked?.seq ?? ''}`);
      tell(report, traffic);
      const decision = judgePush({
        report,
        ...traffic,
        type: plan.type,
        silentMs,
        mostSilentMs: deps.push.silenceMs,
      });
      if (decision.kind === 'fail') throw decision.error;
      if (isAbsent(report, traffic) && silentMs >= deps.push.patienceMs) await letReadsGoFirst(attempt);
      if (decision.kind === 'refuse')
        await refuseCompletion(deps.ds, held.lease, decision.seq, decision.code);
      if (decision.kind === 'finish') {
        const pushed = await complete(attempt, exported, decision.asked);
        if (pushed) return pushed;
      }
    }
    await Promise.race([deps.clock.sleep(POLL_MS, io.signal), exported.died]);
  }
}

/** Nobody has connected or said anything: nothing is lost when the export is closed and opened again later. */
function isAbsent({ asked, bytesDone, telemetry }: AgentReport, { entered }: Traffic): boolean {
  return !entered && !asked && bytesDone === null && telemetry === 0;
}

/**
 * Gives the chain to a restore or a validation that stands behind a backup whose agent has not come.
 * @throws push_agent_awaited where there is one
 */
async function letReadsGoFirst({ deps, held, context }: NewBackup): Promise<void> {
  const waiting = await isReadWaiting(deps.ds, held.lease.chainId).catch((error: unknown) => {
    if (isStrataError(error, 'database_unavailable')) return false;
    throw error;
  });
  if (!waiting) return;
  throw new StrataError(
    'push_agent_awaited',
    `No agent has connected for backup ${context.job.id}: a job that only reads goes first, then another export is opened.`,
  );
}

/** A database that is away for a moment ends nothing: the lease's watchdog decides how long is too long. */
async function heardFrom({ deps, held }: NewBackup): Promise<AgentReport | undefined> {
  try {
    return await readReport(deps.ds, held.lease);
  } catch (error) {
    if (isStrataError(error, 'database_unavailable')) return undefined;
    throw error;
  }
}

/** Tells how far the agent is while that changes, and a little longer: a job that waits for hours costs no writing. */
function progressTeller({ report, deps }: NewBackup) {
  const silence = createSilence(deps.clock);
  return ({ bytesDone, bytesTotal }: AgentReport, { entered, bytes }: Traffic): void => {
    const phase = entered ? 'receiving' : 'waiting_for_agent';
    const progress = { phase, bytes_done: bytesDone ?? bytes, bytes_total: bytesTotal };
    if (silence.since(JSON.stringify(progress)) < TELL_MS) report(progress);
  };
}

/** @returns undefined when somebody has connected since it was decided; the agent is told */
async function complete(
  attempt: NewBackup,
  exported: PushExport,
  asked: AskedCompletion,
): Promise<PushedStep | undefined> {
  const { deps, held, plan, files, virtualSize } = attempt;
  if (!(await exported.finish())) {
    await refuseCompletion(deps.ds, held.lease, asked.seq, 'push_connected');
    return undefined;
  }
  const data: PushedStep = {
    files,
    backupType: plan.type,
    demotedReason: plan.demotedReason,
    parentBackupId: plan.parent?.id ?? null,
    virtualSize,
    changeId: asked.changeId,
    bytesTransferred: asked.bytesTransferred,
  };
  await acceptCompletion(deps.ds, held.lease, asked.seq, { name: PUSHED_STEP, data: { ...data } });
  return data;
}

/** Where that fails, nobody is misled: an export whose lease is over is not shown. */
async function withdraw({ deps, held }: NewBackup): Promise<void> {
  try {
    await withdrawExport(deps.ds, held.lease);
  } catch (error) {
    if (!isStrataError(error, 'database_unavailable')) throw error;
  }
}

/** Measures how long nothing has changed, on the monotonic clock, beginning when it is made. */
export function createSilence(clock: Clock): { since: (signs: string) => number } {
  let last: string | undefined;
  let atMs = clock.monotonicMs();
  return {
    /** @returns milliseconds since `signs` were others than now; since the beginning, if they never were */
    since: (signs) => {
      const now = clock.monotonicMs();
      if (last !== undefined && signs !== last) atMs = now;
      last = signs;
      return now - atMs;
    },
  };
}
