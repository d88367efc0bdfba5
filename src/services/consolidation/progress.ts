import type { ReportProgress } from '../deps.js';

export type Phase = 'checking' | 'removing' | 'copying' | 'merging' | 'proving' | 'switching';

/** How far a job is over all of its phases: the bytes that are done never become fewer, nor more than their total. */
export interface Progress {
  /**
   * Begins a phase.
   * @param bytes what it is worth
   * @returns told how much of it is done, 0 to 1
   */
  begin(phase: Phase, bytes?: number): (share: number) => void;
}

/** What a merge is worth: the bytes of its layers are written once, and read back once. */
export function worthOf(layers: readonly { sizeBytes: number }[]): number {
  return 2 * layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** @param bytesTotal what all phases together are worth */
export function createProgress(report: ReportProgress, bytesTotal: number): Progress {
  let begun = 0;
  let furthest = 0;
  return {
    begin(phase, bytes = 0) {
      const from = begun;
      begun += bytes;
      const at = (share: number) => {
        // A commit that is begun again under a new limit goes back.
        furthest = Math.min(bytesTotal, Math.max(furthest, from + Math.floor(bytes * Math.min(1, share))));
        report({ phase, bytes_done: furthest, bytes_total: bytesTotal });
      };
      at(0);
      return at;
    },
  };
}
