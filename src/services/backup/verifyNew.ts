import { basename, join } from 'node:path';
import { contentId } from '../../datapath/index.js';
import { chainInfo, checkImage } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';
import { isRecordedChain } from '../repository/checkFile.js';
import { syncFile } from '../repository/durable.js';
import type { NewBackup } from './attempt.js';
import { digestPaths, layersOf } from './transfer.js';

/**
 * Checks the written image before it may be published: flushed, clean, of the right size, on the right parent; and
 * computes its content id.
 * @throws image_corrupt, content_mismatch; chain_broken for what the new image stands on
 */
export async function verifyNew({
  context,
  plan,
  partial,
  virtualSize,
  io,
}: NewBackup): Promise<{ contentId: string }> {
  const { root } = context;
  const image = join(root, partial.image);
  const below = plan.type === 'full' ? [] : layersOf(context, plan.parent.id);
  const layers = [join(root, partial.digests), ...digestPaths(root, below)];
  const [, check, chain, id] = await Promise.all([
    syncFile(image),
    checkImage(image, io),
    chainInfo(image, io),
    contentId({ layers, virtualSizeBytes: virtualSize, ...io }),
  ]);
  // A leak wastes room and harms nobody; corruption in a file that was just written must never get a name.
  if (check.corruptions > 0 || check.checkErrors > 0) {
    throw new StrataError(
      'image_corrupt',
      `qemu-img check found ${check.corruptions} corruptions in the new image.`,
    );
  }
  const [top] = chain;
  const expected = below[0] ? basename(below[0].path) : undefined;
  if (top?.backingName !== expected || (expected !== undefined && top?.backingFormat !== 'qcow2')) {
    throw new StrataError(
      'content_mismatch',
      `The new image has the backing file ${top?.backingName ?? 'none'}, not ${expected ?? 'none'}.`,
    );
  }
  const recorded = [image, ...below.map(({ path }) => join(root, path))];
  if (!isRecordedChain(chain, recorded)) {
    throw new StrataError(
      'chain_broken',
      'The files that the new image stands on do not stand on each other as the catalogue says.',
      { details: { recorded, found: chain.map(({ filename }) => filename) } },
    );
  }
  if (top?.virtualSizeBytes !== virtualSize) {
    throw new StrataError(
      'content_mismatch',
      `The new image has ${top?.virtualSizeBytes} bytes, the disk ${virtualSize}.`,
    );
  }
  return { contentId: id };
}
