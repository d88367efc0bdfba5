// One file for each verb of the tools; all are imported through the index.
import { checkFormat, type ImageFormat, type ImageRef, openArgs } from './imageRef.js';
import { runTool } from './runTool.js';
import { countField, jsonObject, parseToolJson } from './toolJson.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

export interface MeasureResult {
  /** Bytes that a converted image would take now. */
  requiredBytes: number;
  /** Bytes that it would take with every block of the disk written. */
  fullyAllocatedBytes: number;
}

/**
 * How large an image would be in another format, by `qemu-img measure`. QEMU 7.2 measures `raw` and `qcow2` only.
 * @throws tool_failed for another target format
 */
export async function measureImage(
  ref: ImageRef,
  targetFormat: ImageFormat,
  options: ToolOptions = {},
): Promise<MeasureResult> {
  const { objects, format, name } = openArgs(ref, 'tls0');
  const { stdout } = await runTool(
    {
      tool: 'qemu-img',
      args: ['measure', ...objects, '--output=json', '-O', checkFormat(targetFormat), '-f', format, name],
      deadlineMs: DEADLINES.wholeImage,
    },
    options,
  );
  const measured = jsonObject(parseToolJson(stdout), 'measure');
  return {
    requiredBytes: countField(measured, 'required'),
    fullyAllocatedBytes: countField(measured, 'fully-allocated'),
  };
}
