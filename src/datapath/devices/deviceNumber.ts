/**
 * A device number as sysfs spells it (`8:1`), from `st_dev` or `st_rdev`: glibc's gnu_dev_major and gnu_dev_minor
 * (sys/sysmacros.h).
 */
export function deviceNumber(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
