import { checkVirtualSize } from './create.js';
import { checkFormat, type ImageFormat } from './imageRef.js';
import { checkAbsolutePath } from './paths.js';
import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

/**
 * Grows an image by `qemu-img resize`; the new end reads as zero.
 * @param path absolute
 * @param virtualSizeBytes the new size; a multiple of 512
 * @throws invalid_request if the image would shrink, which loses data
 */
export async function resizeImage(
  path: string,
  format: ImageFormat,
  virtualSizeBytes: number,
  options: ToolOptions = {},
): Promise<void> {
  const size = String(checkVirtualSize(virtualSizeBytes));
  await runTool(
    {
      tool: 'qemu-img',
      args: ['resize', '-q', '-f', checkFormat(format), checkAbsolutePath(path), size],
      deadlineMs: DEADLINES.metadata,
    },
    options,
  );
}
