import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { fromStored, knownDamage, type Layer, storedDamage, toStored } from '../../chain/index.js';
import { extentOf, type HashPool, type ProofStep, proveLayer } from '../../../datapath/index.js';
import { savePass, saveProof } from '../../../db/chain/layerProofs.js';
import type { LayerProof, ProofPass } from '../../../entities/index.js';
import type { Place } from '../../job/openPlace.js';
import type { Under } from '../../job/under.js';
import { sidecarsOf } from '../../repository/layout.js';
import type { Turn, TurnEnd } from './turn.js';

export interface LayerReading extends Under {
  place: Place;
  pool: HashPool;
  turn: Turn;
  /** By the database's clock. A reading that was begun before `staleBefore` is begun anew. */
  now: Date;
  staleBefore: Date;
  onRead: (bytes: number) => void;
}

/** `ended`: the file has not been read to its end. `changed`: somebody wrote to it, so that the reading says nothing. */
export interface LayerRead {
  bytesRead: number;
  ended: TurnEnd | undefined;
  changed: boolean;
}

/**
 * Reads the file of a backup and compares it with its digest index, from where an interrupted reading was, and notes what it
 * finds as it goes.
 * @param below digest indexes of what it stands on, topmost first; undefined where one cannot be used
 * @throws as `proveLayer`; lease_lost, database_unavailable
 */
export async function readLayer(
  reading: LayerReading,
  row: Layer,
  below: readonly string[] | undefined,
  proof: LayerProof | undefined,
): Promise<LayerRead> {
  const { deps, held, io, pool, turn } = reading;
  const { root } = reading.place;
  const image = join(root, row.path);
  const pass = await resumePass(proof, image, reading);
  let bytesRead = 0;
  let ended: TurnEnd | undefined;
  const save = () => savePass(deps.ds, held.lease, row.id, pass);
  await proveLayer({
    image,
    digests: join(root, sidecarsOf(row.path).digests),
    below,
    virtualSizeBytes: row.virtualSize,
    fromBlock: pass.up_to,
    pool,
    ...io,
    onStep: async (step) => {
      bytesRead = step.bytesRead;
      note(pass, step, row.virtualSize);
      reading.onRead(bytesRead);
      if (!turn.isDue()) return true;
      await save();
      ended = await turn.end();
      return ended === undefined;
    },
  });
  if (ended !== undefined) return { bytesRead, ended, changed: false };
  if ((await identityOf(image)) !== pass.file) return { bytesRead, ended, changed: true };
  await saveProof(deps.ds, held.lease, row.id, storedDamage(knownDamage({ damage: null, pass })));
  return { bytesRead, ended, changed: false };
}

/** The reading that was interrupted, where the file is still the same and it is not too old; else a new one. */
async function resumePass(
  proof: LayerProof | undefined,
  image: string,
  { staleBefore, now }: LayerReading,
): Promise<ProofPass> {
  const file = await identityOf(image);
  const pass = proof?.pass;
  if (pass && pass.file === file && new Date(pass.started_at) >= staleBefore) return structuredClone(pass);
  return { started_at: now.toISOString(), up_to: 0, file, wrong: [], unproved: [] };
}

async function identityOf(path: string): Promise<string> {
  const { size, mtimeNs, ctimeNs, ino } = await lstat(path, { bigint: true });
  return `${size}:${mtimeNs}:${ctimeNs}:${ino}`;
}

function note(pass: ProofPass, { upTo, wrong, unproved }: ProofStep, virtualSize: number): void {
  pass.up_to = upTo;
  const bytes = (range: ProofStep['wrong'][number]) => extentOf(range, virtualSize);
  if (wrong.length > 0) pass.wrong = toStored([...fromStored(pass.wrong), ...wrong.map(bytes)]);
  if (unproved.length > 0) pass.unproved = toStored([...fromStored(pass.unproved), ...unproved.map(bytes)]);
}
