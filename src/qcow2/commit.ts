import { checkAbsolutePath } from './paths.js';
import { type OnProgress, progressOf } from './progress.js';
import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

export interface CommitImage {
  /** Absolute path of the file of the chain to write into; by default the direct backing file. */
  base?: string;
  onProgress?: OnProgress;
  /**
   * The overlay is removed afterwards, so QEMU need not empty it. Implied by `base`. An emptied overlay is only right
   * as long as its direct backing file is the one that was written to.
   */
  dropTop?: boolean;
}

/**
 * Writes the content of a QCOW2 overlay, and of all between, into a file below it, by `qemu-img commit`. Killed at any
 * point, the overlay still reads right and the commit can be repeated; the base reads wrong by itself until then.
 * A smaller base grows to the overlay's size.
 * @param path absolute path of the overlay
 */
export async function commitImage(
  path: string,
  { base, onProgress, dropTop }: CommitImage = {},
  options: ToolOptions = {},
): Promise<void> {
  const progress = progressOf(onProgress);
  const args = ['commit', ...progress.args, '-f', 'qcow2'];
  if (dropTop === true) args.push('-d');
  if (base !== undefined) args.push('-b', checkAbsolutePath(base));
  args.push(checkAbsolutePath(path));
  await runTool({ tool: 'qemu-img', args, deadlineMs: DEADLINES.wholeImage, ...progress.call }, options);
}
