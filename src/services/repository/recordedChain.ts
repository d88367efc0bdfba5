import type { ImageInfo } from '../../qcow2/index.js';

/** Whether files stand on each other as the catalogue says: the very files, in that order, and each taken for QCOW2. Pure. */
export function isRecordedChain(found: readonly ImageInfo[], recorded: readonly string[]): boolean {
  return (
    found.length === recorded.length &&
    found.every(({ filename, format }, depth) => filename === recorded[depth] && format === 'qcow2')
  );
}
