// Which dirty bitmap tells what has changed since the last backup that Strata has. Its change id is the bitmap's name:
// `strata-<number>-<random>`. Numbers grow, so that of two bitmaps the later one is known whatever the clock does.
import { randomBytes } from 'node:crypto';

const NAME = /^strata-(\d+)-[0-9a-f]+$/;
const numberOf = (name) => Number(NAME.exec(name ?? '')?.[1] ?? 0);

/** A name later than all of these. */
export function nameAfter(names) {
  const last = Math.max(0, ...names.map(numberOf));
  return `strata-${last + 1}-${randomBytes(4).toString('hex')}`;
}

/** Strata's bitmaps on a node, by name. */
export async function ownBitmaps(qmp, node) {
  const nodes = await qmp.run('query-named-block-nodes', { flat: true });
  const found = nodes.find((each) => each['node-name'] === node);
  if (!found) throw new Error(`There is no node ${node}.`);
  const bitmaps = (found['dirty-bitmaps'] ?? []).filter(({ name }) => numberOf(name) > 0);
  return new Map(bitmaps.map((bitmap) => [bitmap.name, bitmap]));
}

/**
 * Puts right what a run left that did not live to its end, and returns the bitmap that covers everything since
 * `changeId`; undefined where there is none, and then the next backup is a full.
 *
 * A run freezes the old bitmap and begins a new one in the same instant. Which of the two counts, Strata tells: the new one
 * if its backup is completed, otherwise the old one with the new one merged into it.
 */
export async function settleBitmaps(qmp, node, changeId) {
  const bitmaps = await ownBitmaps(qmp, node);
  const base = bitmaps.get(changeId ?? '');
  const isLater = (name) => base !== undefined && numberOf(name) > numberOf(base.name);
  // What a crashed QEMU has left unsaved (`inconsistent`) covers nothing.
  const lost = [...bitmaps.values()].some(
    (each) => each.inconsistent && (each === base || isLater(each.name)),
  );
  const usable = base !== undefined && !lost;
  // Before the merge: what the guest writes between the two would otherwise be in neither.
  if (usable && !base.recording) await qmp.run('block-dirty-bitmap-enable', { node, name: base.name });
  for (const name of bitmaps.keys()) {
    if (usable && name === base.name) continue;
    if (usable && isLater(name)) {
      await qmp.run('block-dirty-bitmap-merge', { node, target: base.name, bitmaps: [name] });
    }
    await qmp.run('block-dirty-bitmap-remove', { node, name });
  }
  return usable ? base.name : undefined;
}
