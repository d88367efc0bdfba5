import { contentIdOfImage, type ReadBack } from '../../datapath/index.js';
import { StrataError } from '../../shared/errors.js';

/** What the catalogue knows of a restore point, and where its image is. */
export interface RecordedPoint {
  image: string;
  virtualSize: number;
  contentId: string;
}

/**
 * Reads a restore point itself, with all that it stands on, after something that was made of it turned out to be wrong: only
 * that tells whether the point is to blame.
 * @throws what reading it throws: then nothing is known
 */
export async function isPointRight(
  { image, virtualSize, contentId }: RecordedPoint,
  readBack: ReadBack,
): Promise<boolean> {
  const found = await contentIdOfImage({ type: 'file', path: image, format: 'qcow2' }, virtualSize, readBack);
  return found === contentId;
}

/**
 * What is said of a target that is wrong otherwise than its point.
 * @param isPointRight the point was read once more, and all of it is what was backed up: details say so, too
 */
export function targetUnreliable(
  what: string,
  isRight: boolean,
  details: Record<string, unknown>,
): StrataError {
  const read = isRight ? 'was read once more, and is right' : 'is right in ranges in which the target is not';
  return new StrataError(
    'target_unreliable',
    `${what} does not hold what was written to it: the restore point ${read}. Do not trust the disk, or the way to it.`,
    { details: { ...details, point_is_right: isRight } },
  );
}
