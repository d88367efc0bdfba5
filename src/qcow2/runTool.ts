import { StrataError } from '../shared/errors.js';
import type { ToolCall } from './toolCall.js';
import { type ToolOptions, DEADLINES } from './toolOptions.js';
import { checkExit, startTool } from './toolProcess.js';

/** More than any description of one image or chain: qemu-img prints about 1 KiB per image. */
const MAX_STDOUT_CHARS = 64 * 1024 ** 2;

export interface RunToolCall extends ToolCall {
  /** Exit codes that are results; [0] by default. */
  okExitCodes?: readonly number[];
  /** Takes the output as it comes; it is then not collected. What it throws stops the tool and is thrown on. */
  onStdout?: (text: string) => void;
}

export interface ToolResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a tool to its end.
 * @throws the signal's reason when it aborts, once the process is gone
 * @throws tool_timeout, tool_missing, tool_output_invalid (more than 64 MiB), tool_failed or a better known cause
 */
export async function runTool(call: RunToolCall, options: ToolOptions): Promise<ToolResult> {
  const running = startTool(call, options);
  let stdout = '';
  const take =
    call.onStdout ??
    ((text: string) => {
      stdout += text;
      if (stdout.length > MAX_STDOUT_CHARS) throw tooMuchOutput(call);
    });
  running.stdout.on('data', (text: string) => {
    try {
      take(text);
    } catch (error) {
      running.stop(error instanceof Error ? error : new Error(String(error)));
    }
  });
  const exit = await running.exited;
  checkExit(call, exit, options, call.okExitCodes);
  return { exitCode: exit.exitCode ?? 0, stdout, stderr: exit.stderr };
}

function tooMuchOutput({ tool, args }: ToolCall): StrataError {
  return new StrataError('tool_output_invalid', `${tool} printed more than ${MAX_STDOUT_CHARS} characters.`, {
    details: { tool, args },
  });
}

/**
 * Gives a thread of this process idle I/O priority: its reads wait until nobody else wants the disk (where the disk's
 * scheduler knows priorities: bfq, mq-deadline). Where a container forbids that, it stays as it is.
 * @param threadId the kernel's, as in /proc/thread-self
 */
export async function makeThreadIdle(threadId: number, options: ToolOptions = {}): Promise<void> {
  const args = ['-t', '-c', '3', '-p', String(threadId)];
  await runTool({ tool: 'ionice', args, deadlineMs: DEADLINES.metadata }, options);
}
