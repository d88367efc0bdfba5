import { type ImageInfo, parseChainInfo } from './imageInfo.js';
import { openArgs } from './imageRef.js';
import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

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
