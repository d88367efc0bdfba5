import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import {
  type ImageFormat,
  type ImageInfo,
  type ImageRef,
  inspectUntrusted,
  isImageFormat,
  refuseTruncated,
} from '../../qcow2/index.js';
import { both } from '../../shared/both.js';
import { asStrataError, isStrataError, StrataError } from '../../shared/errors.js';
import { sourceReadError } from '../../shared/sourceReadError.js';
import { BASE_ALLOCATION } from '../nbd/index.js';
import { untilAborted } from '../untilAborted.js';
import { checkSize, withField } from './checks.js';
import { rangeStatus } from './exportStatus.js';
import { createHold, NO_HOLD, type SourceHold, withRemedy } from './hold.js';
import {
  endQuietly,
  type ImageServing,
  mappedRanges,
  serveForReading,
  storedBitmapRanges,
} from './imageServer.js';
import { nbdReaders } from './nbdReaders.js';
import { type HeldImage, holdImage } from './holdImage.js';
import { rawReader } from './rawReader.js';
import { reopenable } from './reopenable.js';
import type { OpenSource, SourcePolicy, SourceSpec } from './types.js';

type FileSpec = Extract<SourceSpec, { type: 'file' }>;

/**
 * Checks an image file or block device under the roots. A raw one is read directly, others through `qemu-nbd -r`.
 * @throws path_not_allowed, source_missing, unknown_format, size_not_aligned, source_references_other_file,
 *   source_encrypted, source_truncated, source_unsupported, source_too_complex, source_in_use, source_changed,
 *   source_io_error
 */
export async function openFileSource(
  spec: FileSpec,
  policy: SourcePolicy,
  signal: AbortSignal | undefined,
): Promise<OpenSource> {
  const { format } = spec;
  if (!isImageFormat(format)) {
    throw new StrataError(
      'unknown_format',
      'The format of a file source must be stated, and one that Strata reads.',
      {
        field: 'source.format',
      },
    );
  }
  const image = await holdImage(spec.path, format, policy, 'source.path');
  let hold = NO_HOLD;
  const letGo = async () => {
    await hold.close();
    await image.close();
  };
  try {
    if (spec.force_share !== true) hold = await createHold(image.foreign.files, signal);
    const source = await inspectedSource(spec, { image, format, hold }, policy.scratchDir, signal);
    return {
      ...source,
      assertUnchanged: () => hold.assertUnchanged(),
      close: async () => {
        try {
          await source.close();
        } finally {
          await letGo();
        }
      },
    };
  } catch (error) {
    await letGo();
    throw error;
  }
}

type FileRef = Extract<ImageRef, { type: 'file' }>;

async function inspectedSource(
  { force_share: forceShare }: FileSpec,
  { image, format, hold }: { image: HeldImage; format: ImageFormat; hold: SourceHold },
  scratchDir: string,
  signal: AbortSignal | undefined,
): Promise<OpenSource> {
  const { file, foreign } = image;
  const isDevice = file.bytes === undefined;
  // qemu-img rounds the size of a raw file up; a disk whose last sector is cut is refused instead.
  if (format === 'raw' && file.bytes !== undefined) checkSize(file.bytes, 'source.path');
  const imageRef: FileRef = {
    type: 'file',
    path: file.path,
    format,
    foreign,
    // The inspection refuses backing files; not opening any keeps that true if the file is written to now.
    ...(format === 'qcow2' ? { noBacking: true } : {}),
    ...(isDevice ? { direct: true } : {}),
    ...(forceShare === true ? { forceShare: true } : {}),
  };
  const [, info] = await both(hold.lock(), inspect(imageRef, signal));
  const sizeBytes = checkSize(info.virtualSizeBytes, 'source.path');
  const { O_RDONLY, O_NONBLOCK, O_DIRECT } = constants;
  const source = fileSource(imageRef, sizeBytes, scratchDir, signal, {
    openRaw: () => file.reopen(O_RDONLY | O_NONBLOCK | (isDevice ? O_DIRECT : 0)),
    readError: sourceReadError,
  });
  return { ...source, corrupt: info.corrupt };
}

async function inspect(ref: FileRef, signal: AbortSignal | undefined): Promise<ImageInfo> {
  const { path, format, noBacking: _, type: __, ...how } = ref;
  const inspecting = { ...how, ...(signal ? { signal } : {}) };
  try {
    const info = await inspectUntrusted(path, format, inspecting);
    await refuseTruncated({ path, format }, info, inspecting);
    return info;
  } catch (error) {
    if (!isStrataError(error)) throw error;
    if (error.code === 'unknown_format') throw withField(error, 'source.format');
    throw withRemedy(error);
  }
}

/** How the bytes of an image are reached, and what it means that they are not. */
interface FileAccess {
  openRaw: (path: string) => Promise<FileHandle>;
  readError: OpenSource['readError'];
}

const OWN: FileAccess = { openRaw: (path) => open(path, 'r'), readError: asStrataError };

/** A source of an image that needs no check: one of Strata's own. Backing files are followed unless the ref says no. */
export function fileSource(
  ref: ImageServing['ref'],
  sizeBytes: number,
  scratchDir: string,
  signal: AbortSignal | undefined,
  { openRaw, readError }: FileAccess = OWN,
): OpenSource {
  const abort = signal ? { signal } : {};
  const serving: ImageServing = { ref, scratchDir, ...abort };
  const server = reopenable(() => serveForReading(serving));
  const file = reopenable(() =>
    openRaw(ref.path).catch((error: unknown) => {
      throw readError(error);
    }),
  );
  const connections = nbdReaders(
    async () => (await server.get()).uri,
    { metaContexts: [BASE_ALLOCATION], ...abort },
    false,
  );
  const release = async () => {
    await connections.close();
    await endQuietly([...(await server.take()), ...(await file.take())]);
  };
  return {
    sizeBytes,
    imageRef: ref,
    nativeOnly: false,
    // What QEMU parses is foreign, and what it writes is the repository: the one happens in the sandbox, the other beside it.
    toolRef: async () => (ref.foreign?.sandbox ? { type: 'nbd', uri: (await server.get()).uri } : ref),
    bitmapMissing: false,
    readError,
    async connect() {
      return ref.format === 'raw'
        ? [rawReader(await file.get(), readError, ref.direct)]
        : connections.readers();
    },
    async *status(range) {
      yield* rangeStatus(await connections.client(), range);
    },
    allocated: () => mappedRanges(serving),
    changed: (bitmap, options) => untilAborted(storedBitmapRanges(serving, bitmap), options?.signal),
    assertUnchanged: () => Promise.resolve(),
    release,
    close: release,
  };
}
