/**
 * A seccomp program (classic BPF, linux/filter.h and linux/seccomp.h) for tools that parse foreign bytes. It refuses what
 * would lead out of the namespaces: above all open_by_handle_at(2), with which CAP_DAC_READ_SEARCH reads any file of a
 * mounted file system, and all that makes or enters a namespace, where a process would have capabilities again.
 */

const EPERM = 1;
const ENOSYS = 38;

/** Numbers of the refused calls (arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h for arm64). */
const ARCHITECTURES = {
  x64: {
    audit: 0xc000003e,
    clone: 56,
    clone3: 435,
    // name_to_handle_at, open_by_handle_at, mount, pivot_root, unshare, setns, ptrace, process_vm_readv, process_vm_writev,
    // bpf, perf_event_open, userfaultfd, add_key, request_key, keyctl, io_uring_setup
    refused: [303, 304, 165, 155, 272, 308, 101, 310, 311, 321, 298, 323, 248, 249, 250, 425],
  },
  arm64: {
    audit: 0xc00000b7,
    clone: 220,
    clone3: 435,
    refused: [264, 265, 40, 41, 97, 268, 117, 270, 271, 280, 241, 282, 217, 218, 219, 425],
  },
} as const;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (clone(2)). */
const NEW_NAMESPACES = 0x7e020000;
/** Calls of the x32 ABI have this bit; no tool of Strata makes any. */
const X32_BIT = 0x40000000;

/** Offsets in struct seccomp_data; the low half of the first argument, little-endian. */
const NUMBER_AT = 0;
const ARCHITECTURE_AT = 4;
const FIRST_ARGUMENT_AT = 16;

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const failWith = (errno: number): number => 0x00050000 | errno;

/** One instruction: what to do, the value, and how many to skip if true and if false. */
type Instruction = readonly [code: number, value: number, ifTrue?: number, ifFalse?: number];

/** The program for this processor, undefined for one whose calls are not listed. Pure. */
export function seccompFilter(arch: string): Buffer | undefined {
  if (arch !== 'x64' && arch !== 'arm64') return undefined;
  const { audit, clone, clone3, refused } = ARCHITECTURES[arch];
  const program: Instruction[] = [
    [LOAD, ARCHITECTURE_AT],
    [JUMP_EQUAL, audit, 1, 0],
    [RETURN, KILL_PROCESS],
    [LOAD, NUMBER_AT],
    [JUMP_AT_LEAST, X32_BIT, 0, 1],
    [RETURN, KILL_PROCESS],
    ...refused.flatMap((number): Instruction[] => [
      [JUMP_EQUAL, number, 0, 1],
      [RETURN, failWith(EPERM)],
    ]),
    // The C library then starts threads by clone(2), whose flags a filter can see.
    [JUMP_EQUAL, clone3, 0, 1],
    [RETURN, failWith(ENOSYS)],
    [JUMP_EQUAL, clone, 0, 3],
    [LOAD, FIRST_ARGUMENT_AT],
    [JUMP_ANY_BIT, NEW_NAMESPACES, 0, 1],
    [RETURN, failWith(EPERM)],
    [RETURN, ALLOW],
  ];
  return Buffer.concat(program.map(encode));
}

/** struct sock_filter, little-endian as both processors are. */
function encode([code, value, ifTrue = 0, ifFalse = 0]: Instruction): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(ifTrue, 2);
  bytes.writeUInt8(ifFalse, 3);
  bytes.writeUInt32LE(value >>> 0, 4);
  return bytes;
}
