/**
 * Cuts [offset, offset + length) into pieces of at most `size` bytes and runs `work` on up to `lanes` of them at a time, in
 * order of offset. After a failure no further piece is begun; the first failure is thrown once all running pieces have ended, so that
 * nobody touches the caller's memory any more.
 */
export async function eachPiece(
  range: { offset: number; length: number },
  size: number,
  lanes: number,
  work: (offset: number, length: number) => Promise<void>,
): Promise<void> {
  const end = range.offset + range.length;
  if (range.length <= size) return range.length === 0 ? undefined : work(range.offset, range.length);
  let next = range.offset;
  let failed = false;
  const lane = async () => {
    while (next < end && !failed) {
      const offset = next;
      const length = Math.min(size, end - offset);
      next += length;
      try {
        await work(offset, length);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const count = Math.min(lanes, Math.ceil(range.length / size));
  const results = await Promise.allSettled(Array.from({ length: count }, lane));
  const rejected = results.find((result) => result.status === 'rejected');
  if (rejected) throw rejected.reason;
}
