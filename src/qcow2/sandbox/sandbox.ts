import { FIRST_INHERITED, type ForeignImage } from '../foreignImage.js';

/** `nobody` and `nogroup` on Debian; also what the kernel shows for ids that a namespace does not map. */
export const NOBODY = 65534;

/**
 * What a tool in the sandbox sees of the host's files beside its images: its own program and libraries. bwrap resolves
 * `/lib` where that is a link into `/usr`. Without /dev/null QEMU finds no OFD locks and takes others.
 */
const VISIBLE = [
  ['--ro-bind', '/usr', '/usr'],
  ['--ro-bind-try', '/lib', '/lib'],
  ['--ro-bind-try', '/lib64', '/lib64'],
  ['--ro-bind-try', '/etc/ld.so.cache', '/etc/ld.so.cache'],
  [...openDirectory('/dev'), '--dev-bind', '/dev/null', '/dev/null'],
  // For the links to the tool's own descriptors. Written to it could be much of /proc/sys by a root without capabilities.
  ['--proc', '/proc'],
  ['--remount-ro', '/proc'],
].flat();

const CONFINED = [
  // All but the mount namespace, which bwrap always makes.
  '--unshare-ipc',
  '--unshare-pid',
  '--unshare-net',
  '--unshare-uts',
  '--unshare-cgroup-try',
  // The kernel ends everything in the process namespace when the first bwrap dies, which dies with the worker (setpriv).
  '--die-with-parent',
  '--new-session',
  '--cap-drop',
  'ALL',
];

/** What setpriv needs to become nobody; it gives them up itself. */
const TO_CHANGE_USER = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP'];

/** The user that a tool runs as in the sandbox, undefined for the worker's own. */
export function sandboxUser({ sandbox, files }: ForeignImage): number | undefined {
  if (sandbox?.kind !== 'root') return undefined;
  return files.some(({ readableBy }) => readableBy === 'worker') ? undefined : NOBODY;
}

/** A tool that reads writes no file: its socket's directory is on the host, and must not be filled up. */
export function sandboxLimits(image: ForeignImage | undefined): string[] {
  return image?.sandbox === undefined ? [] : ['--fsize=0', '--core=0'];
}

/**
 * The words that go before a tool's own command line to run it in the sandbox; none for an image without one.
 * The images are not bound: bwrap 0.8 resolves the source of a bind once more by name, and another file may be there. The
 * tool opens the descriptors that it inherits, for which no file has to be visible.
 * @param socketDirectory the one directory that the tool may write to
 */
export function sandboxWords(image: ForeignImage | undefined, socketDirectory?: string): string[] {
  if (image?.sandbox === undefined) return [];
  const { sandbox, files, directory } = image;
  const reads = sandboxUser(image) !== undefined && files.some(({ readableBy }) => readableBy !== 'anybody');
  const words = ['bwrap', ...(sandbox.kind === 'user' ? ['--unshare-user'] : []), ...CONFINED];
  words.push('--seccomp', String(FIRST_INHERITED + files.length), ...VISIBLE);
  if (directory !== undefined) words.push(...openDirectory(directory), '--ro-bind', directory, directory);
  if (socketDirectory !== undefined) {
    words.push(...openDirectory(socketDirectory), '--bind', socketDirectory, socketDirectory);
  }
  words.push('--remount-ro', '/', '--chdir', '/');
  if (sandbox.kind === 'user') return [...words, '--'];
  const kept = [...TO_CHANGE_USER, ...(reads ? ['CAP_DAC_READ_SEARCH'] : [])];
  return [...words, ...kept.flatMap((name) => ['--cap-add', name]), '--', ...becomeUser(image, reads)];
}

/** bwrap 0.8 makes the directories above a mount point for root alone; nobody has to pass through them. */
function openDirectory(path: string): string[] {
  return ['--perms', '0755', '--dir', path];
}

/** Gives up root's id, all groups, and every capability but, if need be, that to read any file that can be seen. */
function becomeUser(image: ForeignImage, reads: boolean): string[] {
  const user = sandboxUser(image);
  const ids = user === undefined ? [] : ['--reuid', String(user), '--regid', String(user), '--clear-groups'];
  const kept = reads ? '-all,+dac_read_search' : '-all';
  const caps = ['--inh-caps', kept, '--ambient-caps', kept, '--bounding-set', kept];
  return ['setpriv', ...ids, ...caps, '--no-new-privs', '--'];
}
