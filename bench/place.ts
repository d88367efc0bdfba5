import { mkdir, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';

/** statfs(2): memory file systems have no fsync to pay for and no direct I/O. */
const TMPFS_MAGIC = 0x01021994;
/** A unix socket's path has room for 107 bytes (unix(7)); the services' sockets lie this much deeper. */
const LONGEST_PATH = 48;

/**
 * Decides where the benchmarks work.
 * @throws Error with a sentence for the user when the place is no disk or too small
 */
export async function choosePlace(wanted: string | undefined, roomBytes: number): Promise<string> {
  const place = wanted ?? tmpdir();
  await mkdir(place, { recursive: true });
  if (place.length > LONGEST_PATH) {
    throw new Error(
      `STRATA_BENCH_DIR is longer than ${LONGEST_PATH} characters: sockets would not fit below it.`,
    );
  }
  const { type, bavail, bsize } = await statfs(place);
  if (type === TMPFS_MAGIC) {
    throw new Error(`${place} is in memory; set STRATA_BENCH_DIR to a directory on a disk.`);
  }
  if (bavail * bsize < roomBytes) {
    const gib = (bytes: number) => (bytes / 1024 ** 3).toFixed(1);
    throw new Error(
      `${place} has ${gib(bavail * bsize)} GiB free; the benchmarks need ${gib(roomBytes)} GiB. ` +
        'Set STRATA_BENCH_DIR to a directory with more room.',
    );
  }
  return place;
}
