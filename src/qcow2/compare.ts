// One file for each verb of the tools; all are imported through the index.
import { type ImageRef, openArgs } from './imageRef.js';
import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

export interface CompareResult {
  /** The guest sees the same bytes; if one disk is longer, the rest of it is zero. */
  identical: boolean;
  /** qemu-img's sentence: where the first difference is. */
  message: string;
}

/** Compares what the guest would read from two images, whole chains included, by `qemu-img compare`. */
export async function compareImages(
  a: ImageRef,
  b: ImageRef,
  options: ToolOptions = {},
): Promise<CompareResult> {
  const first = openArgs(a, 'tls-first');
  const second = openArgs(b, 'tls-second');
  const objects = [...first.objects, ...second.objects];
  const { exitCode, stdout } = await runTool(
    {
      tool: 'qemu-img',
      args: ['compare', ...objects, '-f', first.format, '-F', second.format, first.name, second.name],
      // 1: the images differ. Errors have exit codes above 1.
      okExitCodes: [0, 1],
      deadlineMs: DEADLINES.wholeImage,
    },
    options,
  );
  return { identical: exitCode === 0, message: stdout.trim() };
}
