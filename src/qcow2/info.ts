import { realPathOf } from './foreignImage.js';
import { type ImageInfo, parseImageInfo, parseChainInfo } from './imageInfo.js';
import { type ImageRef, openArgs } from './imageRef.js';
import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

/**
 * Describes one image by `qemu-img info`. Backing files and QCOW2 data files are named, not opened.
 * Only for images that Strata wrote or that were inspected: see inspectUntrusted.
 * @throws file_missing, unknown_format (the file is of another format), source_in_use (open for writing elsewhere)
 */
export async function imageInfo(ref: ImageRef, options: ToolOptions = {}): Promise<ImageInfo> {
  const { objects, format, name, foreign } = openArgs(ref, 'tls0');
  const { stdout } = await runTool(
    {
      tool: 'qemu-img',
      args: ['info', ...objects, '--output=json', '-f', format, name],
      deadlineMs: DEADLINES.metadata,
      ...(foreign ? { foreign } : {}),
    },
    options,
  );
  const info = parseImageInfo(stdout);
  if (ref.type !== 'file') return info;
  // QEMU repeats the options with which it was told to open the file.
  const own = { ...info, filename: ref.path };
  if (!foreign || !info.extents) return own;
  return {
    ...own,
    extents: info.extents.map((one) => ({ ...one, filename: realPathOf(foreign, one.filename) })),
  };
}

/**
 * Describes a QCOW2 file and all that it stands on, top first, in one call of `qemu-img info --backing-chain`.
 * @param path absolute path of the top
 * @throws file_missing if a file of the chain is missing, chain_broken if the chain is a loop
 */
export async function chainInfo(path: string, options: ToolOptions = {}): Promise<ImageInfo[]> {
  const { format, name } = openArgs({ type: 'file', path, format: 'qcow2' }, 'tls0');
  const { stdout } = await runTool(
    {
      tool: 'qemu-img',
      args: ['info', '--backing-chain', '--output=json', '-f', format, name],
      deadlineMs: DEADLINES.metadata,
    },
    options,
  );
  return parseChainInfo(stdout);
}
