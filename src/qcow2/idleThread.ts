import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';

/**
 * Gives a thread of this process idle I/O priority: its reads wait until nobody else wants the disk (where the disk's
 * scheduler knows priorities: bfq, mq-deadline). Where a container forbids that, it stays as it is.
 * @param threadId the kernel's, as in /proc/thread-self
 */
export async function makeThreadIdle(threadId: number, options: ToolOptions = {}): Promise<void> {
  const args = ['-t', '-c', '3', '-p', String(threadId)];
  await runTool({ tool: 'ionice', args, deadlineMs: DEADLINES.metadata }, options);
}
