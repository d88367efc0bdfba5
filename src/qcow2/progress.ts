/** Receives 0 to 100. */
export type OnProgress = (percent: number) => void;

const PERCENT = /\((\d{1,3}(?:\.\d+)?)\/100%\)/g;

/**
 * Reads the output of `qemu-img -p`, which is `    (12.34/100%)\r` again and again (QEMU util/qemu-progress.c), and
 * calls `onProgress` only with numbers that grew.
 */
export function progressReader(onProgress: OnProgress): (text: string) => void {
  let rest = '';
  let latest = -1;
  return (text) => {
    const seen = rest + text;
    const last = [...seen.matchAll(PERCENT)].at(-1);
    // One number may arrive in two pieces; it is never longer than this.
    rest = seen.slice(-16);
    const percent = last?.[1] === undefined ? latest : Math.min(Number(last[1]), 100);
    if (percent > latest) {
      latest = percent;
      onProgress(percent);
    }
  };
}

/** The options and output reader for a verb with progress; nothing where no one listens. */
export function progressOf(onProgress: OnProgress | undefined): {
  args: string[];
  call: { onStdout?: (text: string) => void };
} {
  if (!onProgress) return { args: [], call: {} };
  return { args: ['-p'], call: { onStdout: progressReader(onProgress) } };
}
