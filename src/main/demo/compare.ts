import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { DemoSource } from './target.js';
import { compareImages, type ImageRef } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';

const READ_BYTES = 4 * 1024 * 1024;

/** What a comparison of the source with its restored copy has shown. */
export interface Comparison {
  /** qemu-img's sentence. */
  message: string;
  /** Of the raw bytes of both, when the source is raw: then the files are the same, too. */
  sha256?: string;
}

/**
 * Compares what a guest would read from the source and from the restored raw copy, byte for byte, by `qemu-img compare`;
 * of a raw source also the SHA-256 of both files.
 * @throws content_mismatch with the first difference
 */
export async function compareWithSource(
  source: DemoSource,
  restored: string,
  signal: AbortSignal,
): Promise<Comparison> {
  const copy: ImageRef = { type: 'file', path: restored, format: 'raw' };
  const { identical, message } = await compareImages(imageRef(source), copy, { signal });
  if (!identical) throw different(message);
  if (source.type !== 'file' || source.format !== 'raw') return { message };
  const [ours, theirs] = await Promise.all([sha256Of(restored, signal), sha256Of(source.path, signal)]);
  if (ours !== theirs) throw different(`SHA-256 ${theirs} became ${ours}.`);
  return { message, sha256: ours };
}

function imageRef(source: DemoSource): ImageRef {
  if (source.type === 'nbd') return { type: 'nbd', uri: source.uri };
  return { type: 'file', path: source.path, format: source.format };
}

async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: READ_BYTES }), hash, { signal });
  return hash.digest('hex');
}

function different(message: string): StrataError {
  const hint =
    'If the disk was written to meanwhile (a running VM), that is the reason: back up a snapshot instead.';
  return new StrataError(
    'content_mismatch',
    `The restored copy differs from the source: ${message}\n${hint}`,
  );
}
