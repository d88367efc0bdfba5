import { type BackingRef, backingArgs } from './create.js';
import { checkAbsolutePath } from './paths.js';
import { type OnProgress, progressOf } from './progress.js';
import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

export interface RebaseImage {
  /** The new backing file; none makes the image stand alone. */
  backing?: BackingRef;
  /** Changes only the name in the header and copies nothing: right only if both backing files read the same. */
  unsafe?: boolean;
  onProgress?: OnProgress;
}

/**
 * Puts a QCOW2 file on another backing file by `qemu-img rebase`; unless `unsafe`, what the guest reads stays the same,
 * and what the two backing files read differently is copied into the image.
 * @param path absolute; changed in place
 */
export async function rebaseImage(
  path: string,
  { backing, unsafe, onProgress }: RebaseImage = {},
  options: ToolOptions = {},
): Promise<void> {
  const progress = progressOf(onProgress);
  const args = ['rebase', ...progress.args, '-f', 'qcow2'];
  if (unsafe === true) args.push('-u');
  args.push(...(backing ? backingArgs(backing) : ['-b', '']), checkAbsolutePath(path));
  await runTool({ tool: 'qemu-img', args, deadlineMs: DEADLINES.wholeImage, ...progress.call }, options);
}
