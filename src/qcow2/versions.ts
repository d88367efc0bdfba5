// One file for each verb of the tools; all are imported through the index.
import { StrataError } from '../shared/errors.js';
import { runTool } from './runTool.js';
import type { Tool } from './toolCall.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

const TOOLS: readonly Tool[] = ['qemu-img', 'qemu-nbd'];

/**
 * The version of each QEMU tool, such as `{ 'qemu-img': '7.2.22', 'qemu-nbd': '7.2.22' }`.
 * @throws tool_missing, naming the Debian package, if one is absent
 */
export async function toolVersions(options: ToolOptions = {}): Promise<Record<string, string>> {
  const versions: Record<string, string> = {};
  for (const tool of TOOLS) {
    const call = { tool, args: ['--version'], deadlineMs: DEADLINES.metadata };
    const { stdout } = await runTool(call, options);
    // `qemu-img version 7.2.22 (Debian ...)`, but `qemu-nbd 7.2.22 (Debian ...)`.
    const version = /^qemu-\w+ (?:version )?(\d\S*)/.exec(stdout)?.[1];
    if (version === undefined) {
      throw new StrataError('tool_output_invalid', `${tool} --version printed no version.`, {
        details: { stdout },
      });
    }
    versions[tool] = version;
  }
  return versions;
}
