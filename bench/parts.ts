import { Worker } from 'bullmq';
import { parsePayload, queueName, queuePrefix } from '../src/queue/catalogue.js';
import { runBackup } from '../src/services/backup/run.js';
import type { HeldLease } from '../src/services/job/holdLease.js';
import { runUnderLease } from '../src/services/job/runUnderLease.js';
import type { ServiceDeps } from '../src/services/deps.js';
import type { Extent } from '../src/shared/extents.js';
import type { Bed, Vm } from './bed.js';
import { type ToolSpan, traceTools } from './trace.js';
import { underLease } from '../src/services/job/under.js';

/** One backup, cut at the moments that can be seen from outside; milliseconds since the request. */
export interface Parts {
  parts: { name: string; fromMs: number; toMs: number }[];
  tools: ToolSpan[];
}

/**
 * Takes backups by a worker that notes when each step begins: the steps of the real one, with its own progress reports,
 * fence checks and transactions as marks.
 */
export async function traceParts(
  bed: Bed,
  vm: Vm,
  extents: readonly Extent[],
  { runs, prepare }: { runs: number; prepare: () => Promise<void> },
): Promise<Parts[]> {
  await bed.fleet.stopWorking();
  let mark: (name: string) => void = () => undefined;
  const worker = startTracedWorker(bed, (name) => mark(name));
  const traced: Parts[] = [];
  try {
    for (let run = 0; run < runs; run++) {
      await prepare();
      await bed.settle();
      const marks: { name: string; at: number }[] = [];
      const began = performance.now();
      mark = (name) => marks.push({ name, at: performance.now() - began });
      const trace = traceTools(began);
      await bed.backup(vm, extents);
      marks.push({ name: 'end', at: performance.now() - began });
      traced.push(cut(marks, trace.stop()));
    }
  } finally {
    await worker.close();
    bed.fleet.work();
  }
  return traced;
}

function startTracedWorker(bed: Bed, mark: (name: string) => void): Worker {
  const { services, redis, redisPrefix, lease } = bed.fleet.worker;
  const deps: ServiceDeps = { ...services, ds: markStatements(services.ds, mark) };
  const name = queueName('backup', 'default');
  return new Worker(
    name,
    async (entry) => {
      mark('delivered');
      const { job_id: jobId, delivery } = parsePayload(entry.data);
      const ended = await runUnderLease(services, lease, {
        kind: 'backup',
        jobId,
        delivery,
        signal: new AbortController().signal,
        onProgressError: () => undefined,
        work: (under) => {
          mark('leased');
          const marked = markFence(under.held, () => mark('fence'));
          return runBackup(
            underLease(deps, marked, (progress) => {
              mark(progress.phase);
              under.report(progress);
            }),
          );
        },
      });
      if (ended.outcome !== 'completed') throw new Error(`The traced backup is ${ended.outcome}.`);
    },
    { connection: redis, prefix: queuePrefix(redisPrefix, name) },
  );
}

function markFence(held: HeldLease, mark: () => void): HeldLease {
  return {
    ...held,
    assertHeld: () => {
      mark();
      return held.assertHeld();
    },
  };
}

function markStatements(ds: ServiceDeps['ds'], mark: (name: string) => void): ServiceDeps['ds'] {
  return new Proxy(ds, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key === 'createQueryRunner') mark('transaction');
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (key === 'query' && String(args[0]).includes('INTO job_steps')) mark('journal');
        return Reflect.apply(value, target, args);
      };
    },
  });
}

/** The steps of services/backup/run.ts, by the marks at which they begin and end. */
function cut(marks: { name: string; at: number }[], tools: ToolSpan[]): Parts {
  const first = (name: string) => marks.find((mark) => mark.name === name)?.at ?? Number.NaN;
  const last = (name: string) => marks.findLast((mark) => mark.name === name)?.at ?? Number.NaN;
  const tool = (name: string) => tools.filter((span) => span.tool === name);
  const checks = tools.filter(({ fromMs }) => fromMs >= first('checking'));
  const checked = Math.max(first('checking'), ...checks.map(({ toMs }) => toMs));
  const [create] = tool('qemu-img create');
  const [server] = tool('qemu-nbd');
  const moments: [string, number][] = [
    ['accept and queue (intent, BullMQ)', first('delivered')],
    ['take the lease', first('leased')],
    ['read the catalogue, tidy up', first('opening')],
    ['open and inspect the source', create?.fromMs ?? Number.NaN],
    ['create the overlay', create?.toMs ?? Number.NaN],
    ['serve it, copy, flush, end the server', server?.toMs ?? Number.NaN],
    ['fsync of image and digest index', first('checking')],
    ['check the image and its chain; content id beside it', checked],
    ['what is left of the content id; manifest, flushed', first('journal')],
    ['journal', first('fence')],
    ['fence check, links, fsync of the directory', last('transaction')],
    // The client sees it before the worker hears of it.
    ['commit, and be seen', first('end')],
  ];
  let from = 0;
  const parts = moments.map(([name, at]) => {
    const part = { name, fromMs: from, toMs: at };
    from = at;
    return part;
  });
  return { parts, tools };
}
