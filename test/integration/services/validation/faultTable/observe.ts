import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DataSource } from 'typeorm';
import { BackupJob } from '../../../../../src/entities/index.js';
import { backingNameOf } from '../../../../../src/qcow2/index.js';
import { byId, lineageOf, loadLayers } from '../../../../../src/services/chain/index.js';
import { planRemoval } from '../../../../../src/services/consolidation/run.js';
import { decideRetention } from '../../../../../src/services/retention/decide.js';
import { loadPoints } from '../../../../../src/services/retention/loadPoints.js';
import { checkRestorable } from '../../../../../src/services/restore/plan.js';
import type { ValidationReport } from '../../../../../src/services/validation/index.js';
import { asStrataError } from '../../../../../src/shared/errors.js';
import { attemptBackup } from '../../../../helpers/backupService.js';
import { addBackup } from '../../../../helpers/chainJobs.js';
import { codeOf } from '../../../../helpers/codeOf.js';
import type { DatabaseSuite } from '../../../../helpers/openSuite.js';
import { runTool } from '../../../../helpers/runTool.js';
import { healths, validate } from '../support.js';
import { validateAsOwner } from './asOwner.js';
import type { FaultKind, Inflicted, Place } from './kinds.js';

/** What plain `qemu-img` makes of a restore point. */
export type Truth = 'right' | 'wrong' | 'unreadable';

/** What a fault has come to. */
export interface Observation {
  /** What plain qemu-img makes of each point, oldest first: the measure of all else. */
  truths: Truth[];
  quick: ValidationReport;
  deep: ValidationReport;
  /** Health of each point after the deep validation. */
  healths: string[];
  chainHealth: string;
  /** Of each point: may it be restored, with the proof, and without. */
  restorable: { proved: string; unproved: string }[];
  /** Why not all that the tip stands on could be merged into it; empty where it could. */
  mergeRefused: string[];
  /** Number of the point that retention takes for the newest good one; undefined where there is none. */
  newestGood: number | undefined;
  next: NextBackup;
  inflicted: Inflicted;
}

export interface NextBackup {
  /** `incremental`, `full (parent_damaged)`, or the code of its failure. */
  outcome: string;
  truth: Truth | undefined;
}

const BLOCK = 65_536;

/** Puts a fault into a chain, and lets everything that Strata does with a chain meet it. */
export async function observe(suite: DatabaseSuite, kind: FaultKind, place: Place): Promise<Observation> {
  const { chain } = place;
  const { ds } = suite;
  const inflicted = await kind.inflict(place);
  const check = (level: 'quick' | 'deep') =>
    kind.asOwner ? validateAsOwner(suite, chain, level) : validate(ds, chain, { level });
  try {
    const quick = await check('quick');
    const deep = await check('deep');
    const { backups, chain: chainHealth } = await healths(ds, chain);
    return {
      inflicted,
      quick,
      deep,
      healths: backups.split(' '),
      chainHealth,
      truths: await truthsOf(place),
      restorable: await restorableOf(ds, place),
      mergeRefused: await mergeRefusals(ds, place),
      newestGood: await newestGoodOf(ds, place),
      next: await backUp(ds, place),
    };
  } finally {
    await inflicted.end?.();
  }
}

async function truthsOf({ chain, tempDir }: Place): Promise<Truth[]> {
  const truths: Truth[] = [];
  for (const { image, content } of chain.backups) truths.push(await truthOf(image, content, tempDir));
  return truths;
}

async function truthOf(image: string, content: Buffer, tempDir: string): Promise<Truth> {
  if (await goesRound(image)) return 'unreadable';
  const raw = join(tempDir, `${randomBytes(6).toString('hex')}.raw`);
  try {
    await runTool('qemu-img', 'convert', '-U', '-f', 'qcow2', '-O', 'raw', image, raw);
    return (await readFile(raw)).equals(content) ? 'right' : 'wrong';
  } catch {
    return 'unreadable';
  } finally {
    await rm(raw, { force: true });
  }
}

/** QEMU 7.2 follows backing files that go round for ever. */
async function goesRound(image: string): Promise<boolean> {
  const seen = new Set<string>();
  try {
    for (let at = image; ; ) {
      if (seen.has(at)) return true;
      seen.add(at);
      const name = await backingNameOf(at);
      if (name === undefined) return false;
      at = join(dirname(image), name);
    }
  } catch {
    return false;
  }
}

async function restorableOf(ds: DataSource, { chain }: Place): Promise<Observation['restorable']> {
  const rows = byId(await loadLayers(ds, chain.chainId));
  const ask = (id: string, verify: boolean) =>
    codeOf(
      Promise.resolve().then(() =>
        checkRestorable(
          { id, status: 'completed', ...lineageOf(rows, id), reach: null },
          { verify, allowDamaged: false },
        ),
      ),
    );
  return Promise.all(
    chain.backups.map(async ({ id }) => ({ proved: await ask(id, true), unproved: await ask(id, false) })),
  );
}

async function mergeRefusals(ds: DataSource, { chain }: Place): Promise<string[]> {
  const below = chain.backups.slice(0, -1).map(({ id }) => id);
  const { refused } = planRemoval(await loadLayers(ds, chain.chainId), below);
  return [...new Set(refused.map(({ reason }) => reason))];
}

async function newestGoodOf(ds: DataSource, { chain }: Place): Promise<number | undefined> {
  const [first] = chain.backups;
  const points = await loadPoints(ds, first?.manifestContent.vm_context_id ?? '');
  const verdicts = decideRetention({
    points,
    rules: { last: 1 },
    timeZone: 'UTC',
    now: new Date(),
    immutableDays: 0,
  });
  const newest = verdicts.find(({ reasons }) => reasons.includes('newest good point'));
  const number = chain.backups.findIndex(
    ({ manifestContent }) => manifestContent.restore_point_id === newest?.id,
  );
  return number === -1 ? undefined : number + 1;
}

/** The next backup of the disk, of which one block has changed since. */
async function backUp(ds: DataSource, { chain, random, tempDir }: Place): Promise<NextBackup> {
  const source = Buffer.from(chain.backups.at(-1)?.content ?? Buffer.alloc(0));
  source.fill(0x5a, random.integer(0, 15) * BLOCK, 16 * BLOCK);
  const path = join(tempDir, `${randomBytes(6).toString('hex')}.disk`);
  await writeFile(path, source);
  const jobId = await addBackup(ds, chain, path);
  try {
    await attemptBackup(ds, jobId, tempDir);
  } catch (error) {
    return { outcome: asStrataError(error).code, truth: undefined };
  } finally {
    await rm(path);
  }
  const row = await ds.getRepository(BackupJob).findOneByOrFail({ id: jobId });
  const reason = row.demotedReason === null ? '' : ` (${row.demotedReason})`;
  const truth = await truthOf(join(chain.root, row.repositoryPath ?? ''), source, tempDir);
  return { outcome: `${row.backupType}${reason}`, truth };
}
