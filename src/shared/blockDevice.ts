/**
 * The directory of a block device in sysfs, such as `/sys/dev/block/8:1`.
 * @param rdev as `stat` tells it: gnu_dev_major and gnu_dev_minor of <sys/sysmacros.h>
 */
export function sysBlockOf(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `/sys/dev/block/${major}:${minor}`;
}

/** Bytes of a sector in sysfs, whatever the device's own sectors are (Linux, block/genhd.c). */
export const SYSFS_SECTOR = 512;
