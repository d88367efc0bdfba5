import type { ForeignImage } from './foreignImage.js';

export type Tool = 'qemu-img' | 'qemu-nbd' | 'ionice' | 'perl';

/** One run of a tool. */
export interface ToolCall {
  tool: Tool;
  args: string[];
  /** Used where ToolOptions.deadlineMs is not given. */
  deadlineMs: number;
  /** An image from outside that the tool reads by descriptors, in a sandbox if it has one. */
  foreign?: ForeignImage;
  /** In a sandbox: the one directory that the tool may write to. */
  socketDirectory?: string;
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
