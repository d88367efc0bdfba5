import { basename, dirname, join } from 'node:path';
import { sidecarsOf } from '../repository/layout.js';
import {
  heldImages,
  type ImageOnDisk,
  isOfNoCatalogue,
  isQuarantined,
  topsFirst,
  wholeImages,
} from '../repository/standing/index.js';
import type { Action, DirectoryFacts, ReasonCode, QuarantinedImage } from './facts.js';
import type { Group, Verdict } from './planFiles.js';

export interface Judged {
  group: Group;
  verdict: Verdict;
}

/** Copies of a damaged image whose place a healed one has taken: never what an image above it wants. */
const REPLACED = 'healed';

/**
 * Verdicts that give way to what the images themselves say: what `qemu-img` restores and nobody has given up stays, and so
 * does what an image that stays stands on, and every image where a header cannot be read. Pure.
 */
export function keepStanding(
  facts: DirectoryFacts,
  judged: readonly Judged[],
  returns: readonly Action[],
): Map<Group, Verdict> {
  const whole = wholeImages([...facts.images, ...facts.quarantined]);
  const kept = new Map<Group, Verdict>();
  const keep = ({ group, verdict }: Judged, reason: ReasonCode) =>
    kept.set(group, { ...verdict, action: 'leave', reason });
  const moving = judged.filter(({ verdict }) => verdict.action === 'quarantine');
  const images = new Map(facts.images.map((image) => [image.path, image]));
  const imagesOf = ({ group }: Judged) =>
    group.files.flatMap(({ name }) => images.get(join(facts.directory, name)) ?? []);
  // Sidecars that wait for their image: the return of both was cut.
  const returning = new Set(returns.flatMap(({ file }) => Object.values(sidecarsOf(file))));
  for (const one of moving) {
    if (one.group.files.some(({ name }) => returning.has(join(facts.directory, name)))) keep(one, 'needed');
    const isWhole = imagesOf(one).some(({ path, qcow2 }) => qcow2 && whole.has(path));
    if (one.verdict.isGuess && isWhole) keep(one, 'restorable');
  }
  const going = moving.filter(({ group }) => !kept.has(group));
  const doomed = new Set(going.flatMap(imagesOf).map(({ path }) => path));
  const held = heldImages(facts.images, doomed);
  for (const one of going) {
    const mine = imagesOf(one);
    if (mine.some(({ path }) => held.has(path))) keep(one, 'needed');
    else if (mine.some((image) => isUnclear(facts, image, doomed))) keep(one, 'header_unreadable');
  }
  return kept;
}

/** Whether any other image of the directory may stand on this one, for all that can be read. */
function isUnclear(facts: DirectoryFacts, image: ImageOnDisk, doomed: ReadonlySet<string>): boolean {
  if (image.below.some(({ state }) => state === 'unknown')) return true;
  const known = new Set(facts.backups.map(({ path }) => path));
  return facts.images.some(
    ({ path, below }) =>
      path !== image.path &&
      dirname(path) === facts.directory &&
      below.some(
        ({ state }) => state === 'unknown' || (state === 'lost' && !known.has(path) && !doomed.has(path)),
      ),
  );
}

/** Of the groups that are moved those that stand on others come before them: a kill between two moves leaves no image without its base. Pure. */
export function inOrder(
  facts: DirectoryFacts,
  judged: readonly Judged[],
  kept: ReadonlyMap<Group, Verdict>,
): Judged[] {
  const ranks = new Map(topsFirst(facts.images).map(({ path }, index) => [path, index]));
  const rankOf = ({ group }: Judged) =>
    Math.min(
      ...group.files.map(({ name }) => ranks.get(join(facts.directory, name)) ?? Number.POSITIVE_INFINITY),
    );
  const moves = (one: Judged) =>
    one.verdict.action === 'quarantine' && !kept.has(one.group) && Number.isFinite(rankOf(one));
  const sorted = judged.filter(moves).sort((a, b) => rankOf(a) - rankOf(b));
  return judged.map((one) => (moves(one) ? (sorted.shift() ?? one) : one));
}

/**
 * Images in quarantine that get their place back, with all below them: those on which an image here stands, and those that
 * `qemu-img` restores and nobody has given up. An earlier release moved them, or somebody did by hand. Pure.
 */
export function planReturns(facts: DirectoryFacts): Action[] {
  const actions = new Map<string, Action>();
  const bringBack = (path: string, reason: ReasonCode): readonly QuarantinedImage[] => {
    if (actions.has(path)) return [];
    const candidates = candidatesFor(facts, path);
    if (candidates.length > 0) actions.set(path, toAction(facts, path, candidates.length, reason));
    return candidates;
  };
  const open: ImageOnDisk[] = facts.images.filter(({ path }) => dirname(path) === facts.directory);
  const taken = new Set(open.map(({ path }) => path));
  const whole = wholeImages([...facts.images, ...facts.quarantined]);
  for (const { path, origin, reason } of facts.quarantined) {
    if (taken.has(origin) || !whole.has(path) || !isOfNoCatalogue(reason)) continue;
    open.push(...bringBack(origin, 'restorable_in_quarantine'));
  }
  for (let image = open.pop(); image !== undefined; image = open.pop()) {
    for (const below of image.below)
      if (below.state === 'missing') open.push(...bringBack(below.path, 'stands_in_quarantine'));
  }
  return [...actions.values()];
}

/** One for each file, not for each of its names. */
function candidatesFor({ quarantined }: DirectoryFacts, path: string): QuarantinedImage[] {
  const fit = quarantined.filter(
    (image) => isQuarantined(image) && image.origin === path && image.reason !== REPLACED && image.qcow2,
  );
  return [...new Map(fit.map((image) => [image.file, image])).values()];
}

function toAction(
  { chain, directory }: DirectoryFacts,
  path: string,
  candidates: number,
  reason: ReasonCode,
): Action {
  const about = (action: Action['action'], why: ReasonCode): Action => ({
    action,
    reason: why,
    chain_id: chain?.id ?? null,
    backup_id: null,
    file: join(directory, basename(path)),
  });
  if (candidates > 1) return about('leave', 'several_in_quarantine');
  if (!chain) return about('leave', 'no_chain');
  return chain.busy ? about('leave', 'chain_busy') : about('bring_back', reason);
}
