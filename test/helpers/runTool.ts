import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Runs a program to its end; rejects with its output if it fails. Gives what it printed. */
export async function runTool(tool: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(tool, args, { timeout: 30_000 });
  return stdout;
}
