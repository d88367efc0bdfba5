import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** Life of a child process of this process, in milliseconds since the trace began. */
export interface ToolSpan {
  /** Program and, for qemu-img, its verb. */
  tool: string;
  fromMs: number;
  toMs: number;
}

/** Programs that replace themselves by the next on their command line. */
const WRAPPERS = new Set(['setpriv', 'prlimit', 'ionice', 'nice']);

/** Watches which programs this process starts, from outside of the code that starts them. */
export function traceTools(beganMs = performance.now()): { stop(): ToolSpan[] } {
  const spans: ToolSpan[] = [];
  const watch = (message: unknown) => {
    const { process: child } = message as { process: ChildProcess };
    const fromMs = performance.now() - beganMs;
    child.once('exit', () => {
      spans.push({ tool: nameOf(child.spawnargs), fromMs, toMs: performance.now() - beganMs });
    });
  };
  subscribe('child_process', watch);
  return {
    stop() {
      unsubscribe('child_process', watch);
      return spans.sort((a, b) => a.fromMs - b.fromMs);
    },
  };
}

/** `setpriv --pdeathsig KILL -- prlimit --as=... -- qemu-img info ...` is `qemu-img info`. */
function nameOf(argv: readonly string[]): string {
  let words = argv;
  while (WRAPPERS.has(words[0] ?? '') && words.includes('--')) words = words.slice(words.indexOf('--') + 1);
  const [tool = '', verb = ''] = words;
  return tool === 'qemu-img' ? `${tool} ${verb}` : tool;
}
