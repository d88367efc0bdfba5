import { checkRange } from './checkRange.js';
import { checkAbsolutePath } from './paths.js';
import { type OnProgress, progressOf } from './progress.js';
import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

export interface CommitImage {
  /** Absolute path of the file of the chain to write into; by default the direct backing file. */
  base?: string;
  /**
   * Absolute paths of what the overlay stands on, topmost first, instead of what the headers say; the last one keeps what
   * its own header says. All but the overlay and the base are opened for reading only.
   */
  layers?: readonly string[];
  /** Average rate limit, in bytes per second; at least 1. Fixed while it runs. */
  bytesPerSecond?: number;
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
  { base, layers, bytesPerSecond, onProgress, dropTop }: CommitImage = {},
  options: ToolOptions = {},
): Promise<void> {
  const progress = progressOf(onProgress);
  const args = ['commit', ...progress.args, '-f', 'qcow2'];
  if (bytesPerSecond !== undefined)
    args.push('-r', String(checkRange('bytesPerSecond', bytesPerSecond, Number.MAX_SAFE_INTEGER)));
  if (dropTop === true) args.push('-d');
  if (base !== undefined) args.push('-b', checkAbsolutePath(base));
  args.push(layers ? stackName([path, ...layers]) : checkAbsolutePath(path));
  await runTool({ tool: 'qemu-img', args, deadlineMs: DEADLINES.wholeImage, ...progress.call }, options);
}

/** QEMU's `json:` name of a chain whose links are stated. */
function stackName(paths: readonly string[]): string {
  let stack: object | undefined;
  for (const path of [...paths].reverse()) {
    const file = { driver: 'file', filename: checkAbsolutePath(path) };
    stack = { driver: 'qcow2', file, ...(stack ? { backing: stack } : {}) };
  }
  return `json:${JSON.stringify(stack)}`;
}
