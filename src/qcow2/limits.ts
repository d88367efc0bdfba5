/** Limits of one tool process, set by prlimit(1). They bound what a hostile image can cost. */
export interface ResourceLimits {
  /** RLIMIT_AS, in bytes. qemu-img starts with about 40 MiB. */
  addressSpaceBytes: number;
  /** RLIMIT_CPU, in whole seconds of CPU time. */
  cpuSeconds: number;
  /** RLIMIT_FSIZE, in bytes: the largest file that the tool may write. */
  fileSizeBytes?: number;
}

/**
 * For `qemu-img info` on an image from outside: 1 GiB of address space and 30 s of CPU, the limits that OpenStack Nova
 * set after CVE-2015-5162 (a crafted image made qemu-img eat all memory and CPU).
 */
export const UNTRUSTED_LIMITS: ResourceLimits = { addressSpaceBytes: 1024 ** 3, cpuSeconds: 30 };

/** The options of prlimit(1) for these limits. */
export function prlimitArgs(limits: ResourceLimits): string[] {
  const args = [`--as=${limits.addressSpaceBytes}`, `--cpu=${limits.cpuSeconds}`];
  if (limits.fileSizeBytes !== undefined) args.push(`--fsize=${limits.fileSizeBytes}`);
  return args;
}
