import { StrataError } from '../shared/errors.js';
import { checkRange } from './checkRange.js';
import { type BackingRef, backingArgs, CREATION_OPTIONS, refuseExisting } from './create.js';
import { type ImageFormat, type ImageRef, openArgs } from './imageRef.js';
import { checkAbsolutePath, escapeCommas } from './paths.js';
import { type OnProgress, progressOf } from './progress.js';
import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

/** QEMU's cache modes: `none` is direct I/O; `writeback` uses the page cache and flushes at the end; `unsafe` never flushes. */
export type CacheMode = 'none' | 'writeback' | 'writethrough' | 'directsync' | 'unsafe';

export type ConvertTarget =
  | { type: 'file'; path: string; format: ImageFormat }
  | { type: 'nbd'; uri: string };

export interface ConvertImage {
  /** Writes into an existing image or block device, which must be as large as the source. Always so for NBD. */
  targetExists?: boolean;
  /** Writes clusters as they come. Faster; the file is then less sequential. */
  outOfOrder?: boolean;
  /** 1 to 16 reads in flight; qemu-img's default is 8. */
  coroutines?: number;
  sourceCache?: CacheMode;
  /** qemu-img's default is `unsafe`: the caller must then flush the target. */
  targetCache?: CacheMode;
  /** Average rate limit, in bytes per second; at least 1. */
  bytesPerSecond?: number;
  /** What the source does not give is zero in the target; otherwise it ends the copy. */
  salvage?: boolean;
  onProgress?: OnProgress;
  /**
   * Makes the target an overlay. What the source leaves to its own backing file (over NBD: a hole that is not zero) is
   * left to this one; all else is written, zeroes included and whether it differs or not.
   */
  backing?: BackingRef;
  /** Creation options of the target's format, such as `{ subformat: 'streamOptimized' }`. */
  subformatOptions?: Readonly<Record<string, string | number | boolean>>;
}

const MAX_COROUTINES = 16;

/**
 * Copies the whole content of an image into another image by `qemu-img convert`. The target is not flushed beyond what
 * `targetCache` says, and a half-written target is left where the copy stopped: both are the caller's to settle.
 * @throws file_exists if a file target exists and `targetExists` is not set
 * @throws no_space, file_missing, source_in_use, unknown_format, nbd_connection_lost, tool_failed; failedRead tells
 *   whether it was the source that could not be read
 */
export async function convertImage(
  source: ImageRef,
  target: ConvertTarget,
  convert: ConvertImage = {},
  options: ToolOptions = {},
): Promise<void> {
  const from = openArgs(source, 'tls-source');
  const to = openArgs(target, 'tls-target');
  const existing = convert.targetExists === true || target.type === 'nbd';
  if (target.type === 'file' && !existing) refuseExisting(target.path);
  const progress = progressOf(convert.onProgress);
  const args = [
    'convert',
    ...from.objects,
    ...to.objects,
    ...progress.args,
    ...speedArgs(convert),
    ...(existing ? ['-n'] : creationArgs(to.format, convert)),
    ...backingArgs(convert.backing).map((arg) => (arg === '-b' ? '-B' : arg)),
    '-f',
    from.format,
    '-O',
    to.format,
    from.name,
    // What is to be created has a plain name: the json: form can only be opened.
    target.type === 'file' && !existing ? checkAbsolutePath(target.path) : to.name,
  ];
  const foreign = from.foreign ? { foreign: from.foreign } : {};
  const call = { tool: 'qemu-img', args, deadlineMs: DEADLINES.wholeImage, ...foreign } as const;
  await runTool({ ...call, ...progress.call }, options);
}

function speedArgs(convert: ConvertImage): string[] {
  const args: string[] = [];
  if (convert.salvage === true) args.push('--salvage');
  if (convert.outOfOrder === true) args.push('-W');
  if (convert.coroutines !== undefined) {
    args.push('-m', String(checkRange('coroutines', convert.coroutines, MAX_COROUTINES)));
  }
  if (convert.sourceCache !== undefined) args.push('-T', convert.sourceCache);
  if (convert.targetCache !== undefined) args.push('-t', convert.targetCache);
  if (convert.bytesPerSecond !== undefined) {
    args.push('-r', String(checkRange('bytesPerSecond', convert.bytesPerSecond, Number.MAX_SAFE_INTEGER)));
  }
  return args;
}

function creationArgs(format: ImageFormat, { subformatOptions = {} }: ConvertImage): string[] {
  const given = Object.entries(subformatOptions).map(([key, value]) => {
    if (!/^[a-z][a-z0-9_.-]*$/.test(key)) {
      throw new StrataError('invalid_request', `"${key}" is not the name of a format option.`);
    }
    return `${key}=${escapeCommas(typeof value === 'boolean' ? onOff(value) : String(value))}`;
  });
  // A later option overrides an earlier one of the same name.
  const own = CREATION_OPTIONS[format];
  const all = own === undefined ? given : [own, ...given];
  return all.length === 0 ? [] : ['-o', all.join(',')];
}

function onOff(value: boolean): string {
  return value ? 'on' : 'off';
}
