import { join } from 'node:path';
import { byId, type Layer, lineageOf } from '../../chain/index.js';
import { createHashPool, type HashPool } from '../../../datapath/index.js';
import { databaseNow } from '../../../db/job/changes.js';
import { readProofs } from '../../../db/chain/layerProofs.js';
import type { LayerProof } from '../../../entities/index.js';
import { isStrataError } from '../../../shared/errors.js';
import { assertPlace, type Place } from '../../job/openPlace.js';
import type { Under } from '../../job/under.js';
import { sidecarsOf } from '../../repository/layout.js';
import type { ChainFacts, ReadFact } from '../facts.js';
import { digestsBelong } from '../collectSidecars.js';
import { imageTrouble, readingTrouble } from '../../repository/trouble.js';
import { planReading, type ReadingStep } from './planReading.js';
import { readLayer } from './readLayer.js';
import { rebuildInTurn } from './rebuildTurn.js';
import { beginTurn, type Turn, type TurnEnd } from './turn.js';

export interface DeepReading extends Under {
  place: Place;
  chain: ChainFacts;
  /** What was read, or begun, before this moment is read again. */
  staleBefore: Date;
}

export interface DeepRead {
  /** What became of each file. */
  reads: Map<string, ReadFact>;
  bytesRead: number;
  /** Why it ended before everything was read; undefined where nothing is left. */
  ended: TurnEnd | undefined;
}

/**
 * Reads the files of a chain and compares them with their digest indexes, from the oldest to the newest, at the lowest
 * priority and with bounded memory. What is found is in the catalogue as it goes on, so that an interrupted validation goes
 * on where it was.
 * @throws repository_unavailable when the repository goes away, lease_lost, database_unavailable, the signal's reason
 */
export async function readLayers(reading: DeepReading): Promise<DeepRead> {
  const { deps, held, chain, place } = reading;
  const proofs = await readProofs(deps.ds, held.lease.chainId);
  const plan = planReading(chain, proofs, reading.staleBefore);
  const pool = createHashPool({ idle: true });
  const run: Run = {
    ...reading,
    pool,
    proofs,
    turn: beginTurn(deps, held.lease.chainId),
    now: await databaseNow(deps.ds),
    sound: new Set(soundIndexes(chain)),
    bytesTotal: plan.reduce((sum, { action, row }) => sum + (isRead(action) ? row.sizeBytes : 0), 0),
    bytesRead: 0,
    bytesPassed: 0,
  };
  const reads = new Map<string, ReadFact>();
  let ended: TurnEnd | undefined;
  try {
    for (const step of plan) {
      if (isRead(step.action) && ended === undefined) ended = await readOne(run, step, reads);
      else reads.set(step.row.id, asFact(step));
    }
  } finally {
    await pool.close();
  }
  await assertPlace(place);
  return { reads, bytesRead: run.bytesRead, ended };
}

interface Run extends DeepReading {
  pool: HashPool;
  proofs: Map<string, LayerProof>;
  turn: Turn;
  now: Date;
  /** Backups whose digest index can be believed. */
  sound: Set<string>;
  bytesTotal: number;
  bytesRead: number;
  /** Allocated bytes of the files that are done with. */
  bytesPassed: number;
}

function isRead(action: ReadingStep['action']): boolean {
  return action === 'compare' || action === 'rebuild';
}

function asFact(step: ReadingStep): ReadFact {
  if (step.action === 'skip') return { state: 'skipped', reason: step.reason };
  return { state: step.action === 'fresh' ? 'fresh' : 'not_yet' };
}

function soundIndexes(chain: ChainFacts): string[] {
  return chain.backups.flatMap(({ row, digests }) => (digestsBelong(row, digests) ? [row.id] : []));
}

/** @returns why the turn ends here */
async function readOne(
  run: Run,
  { action, row }: ReadingStep,
  reads: Map<string, ReadFact>,
): Promise<TurnEnd | undefined> {
  const before = run.bytesRead;
  const onRead = (bytes: number) => {
    run.bytesRead = before + bytes;
    const done = Math.min(run.bytesPassed + bytes, run.bytesTotal);
    run.report({ phase: 'reading', bytes_done: done, bytes_total: run.bytesTotal });
  };
  onRead(0);
  try {
    const work = action === 'compare' ? compare : rebuild;
    const { fact, ended } = await work(run, row, onRead);
    reads.set(row.id, fact);
    run.bytesPassed += row.sizeBytes;
    return ended;
  } catch (error) {
    if (run.io.signal.aborted) throw error;
    reads.set(row.id, { state: 'skipped', reason: whyNotRead(error) });
    return undefined;
  }
}

/** The base of a merge that was cut holds something of the backups above it. */
const NOT_ITS_CONTENT = 'it has expired, and without an index nothing says what it ought to hold';

type Done = { fact: ReadFact; ended: TurnEnd | undefined };

async function compare(run: Run, row: Layer, onRead: (bytes: number) => void): Promise<Done> {
  const { ended, changed } = await readLayer(
    { ...run, onRead },
    row,
    indexesBelow(run, row),
    run.proofs.get(row.id),
  );
  if (ended) return { fact: { state: 'not_yet' }, ended };
  if (changed) return { fact: { state: 'skipped', reason: 'somebody wrote to it meanwhile' }, ended };
  return { fact: { state: 'read' }, ended };
}

async function rebuild(run: Run, row: Layer, onRead: (bytes: number) => void): Promise<Done> {
  const below = indexesBelow(run, row);
  const ended = undefined;
  if (!below) {
    const reason = 'neither its own digest index nor one below it can be used';
    return { fact: { state: 'skipped', reason }, ended };
  }
  const rebuilt = await rebuildInTurn({ ...run, row, below, onRead }, run.turn);
  if (rebuilt === 'wanted') return { fact: { state: 'not_yet' }, ended: rebuilt };
  if (rebuilt) run.sound.add(row.id);
  if (!rebuilt && row.expired) return { fact: { state: 'skipped', reason: NOT_ITS_CONTENT }, ended };
  return { fact: { state: rebuilt ? 'rebuilt' : 'unproved' }, ended };
}

/** Digest indexes of what a backup stands on, topmost first; undefined where one cannot be believed. */
function indexesBelow({ chain, sound, place }: Run, row: Layer): string[] | undefined {
  const { layers, broken } = lineageOf(byId(chain.backups.map((facts) => facts.row)), row.id);
  const below = layers.slice(1);
  if (broken !== undefined || !below.every(({ id }) => sound.has(id))) return undefined;
  return below.map(({ path }) => join(place.root, sidecarsOf(path).digests));
}

function whyNotRead(error: unknown): string {
  if (!isStrataError(error)) return readingTrouble(error);
  if (error.code === 'digest_index_invalid') return error.message;
  return imageTrouble(error).reason;
}
