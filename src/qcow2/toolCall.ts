import type { Tool } from './toolCommand.js';

/** One run of a tool. */
export interface ToolCall {
  tool: Tool;
  args: string[];
  /** Used where ToolOptions.deadlineMs is not given. */
  deadlineMs: number;
}

/** How a tool ended. */
export interface ToolExit {
  exitCode: number | undefined;
  signal: string | undefined;
  /** The last 4 KiB. */
  stderr: string;
  /** Why Strata stopped it; undefined if it ended by itself. */
  stopped: Error | undefined;
  /** What the operating system said if the program could not be started. */
  spawnError: Error | undefined;
}
