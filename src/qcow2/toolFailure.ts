import type { ErrorCode } from '../shared/errorCodes.js';
import { StrataError } from '../shared/errors.js';
import type { ToolCall, ToolExit } from './toolCall.js';

/** Debian and Ubuntu packages, for the sentence that tells a person what to install. */
const PACKAGES: Record<string, string> = {
  'qemu-img': 'qemu-utils',
  'qemu-nbd': 'qemu-utils',
  setpriv: 'util-linux',
  prlimit: 'util-linux',
  ionice: 'util-linux',
  nice: 'coreutils',
  bwrap: 'bubblewrap',
  perl: 'perl-base',
};

/** setpriv, prlimit, ionice and nice exit so when they cannot find the next program, as a shell does. */
const EXIT_NOT_FOUND = 127;

/**
 * What QEMU 7.2 and its libraries print, in order of precedence. The only place in Strata that matches message text:
 * the tools tell causes by nothing else.
 */
const CAUSES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/No space left on device|Disk quota exceeded/, 'no_space'],
  [/Failed to get (shared )?"[^"]*" lock|Failed to lock byte/, 'source_in_use'],
  [/Failed to connect to|Connection refused|Connection reset by peer|Server hung up/, 'nbd_connection_lost'],
  // Only while it opens a server: a server says the same of clients that left.
  [/Could not open '.*Unexpected end-of-file before all data/, 'nbd_connection_lost'],
  [/Requested export not available|server reported: export/, 'nbd_refused'],
  // A VHDX or dynamic VHD whose blocks lie beyond the end of its file.
  [/points after (the )?end of file/, 'source_truncated'],
  [/creates an infinite loop/, 'chain_broken'],
  [/Bitmap '[^']*' (is not found|not found|is inconsistent)|bitmap '[^']*' .*not found/i, 'bitmap_missing'],
  [/Use the --shrink option/, 'invalid_request'],
  [/No such file or directory/, 'file_missing'],
  [
    /Unknown driver '|Unknown file format '|Image is not in \S+ format|invalid VMDK image descriptor/,
    'unknown_format',
  ],
  [/invalid VPC image|Image not in VDI format|Invalid VDI/i, 'unknown_format'],
];

/** What a process under prlimit dies of: no memory (glib aborts, SIGTRAP or SIGABRT), or no CPU time left. */
const LIMIT_SIGNALS = new Set(['SIGXCPU', 'SIGXFSZ', 'SIGKILL', 'SIGABRT', 'SIGTRAP', 'SIGSEGV', 'SIGBUS']);
const LIMIT_MESSAGES =
  /allocate memory|File too large|failed to map segment|failed to allocate|out of memory|Resource temporarily unavailable/i;

/** What the C library says of the host that QEMU runs on, and of no image (strerror(3)). */
const HOST_MESSAGES =
  /Input\/output error|Too many open files|Stale file handle|Transport endpoint is not connected|Remote I\/O error|No such device|No data available|Connection timed out|Host is down|Device or resource busy|Interrupted system call|Cannot allocate memory|Resource temporarily unavailable|loading shared libraries|event notifier/;

/**
 * True for a `tool_failed` in which the tool itself found fault with what it read: it ran to its end and gave a reason
 * that is not one of the host.
 */
export function findsFaultWithImage({ code, details }: StrataError): boolean {
  const { exitCode, stderr } = details;
  if (code !== 'tool_failed' || typeof exitCode !== 'number' || typeof stderr !== 'string') return false;
  return stderr.includes('Could not open') && !HOST_MESSAGES.test(stderr);
}

/** True for a `qemu-img convert` that could not read its source in the middle of a copy. */
export function failedRead({ code, details: { stderr } }: StrataError): boolean {
  if (code !== 'tool_failed' || typeof stderr !== 'string') return false;
  return /error while reading (?:at byte|block status at offset) \d/.test(stderr);
}

/**
 * Whether a tool failed at what it writes: by its words on writing, or because it names the target where it names anything.
 * @param target as it was named to the tool
 */
export function failedWrite({ code, details: { stderr } }: StrataError, target: string): boolean {
  if (code !== 'tool_failed' || typeof stderr !== 'string') return false;
  return stderr.includes('error while writing') || stderr.includes(target);
}

/** The file of whose lock QEMU says that another process has it: perhaps one that the image stands on. */
export function lockedFile({ code, details: { stderr } }: StrataError): string | undefined {
  if (code !== 'source_in_use' || typeof stderr !== 'string') return undefined;
  return /Is another process using the image \[(.*)\]\?/.exec(stderr)?.[1];
}

/**
 * The error of a tool that ended badly by itself.
 * @param limited the tool ran under resource limits, so that exhaustion is the image's fault
 */
export function toolFailure(call: ToolCall, exit: ToolExit, limited: boolean): StrataError {
  const missing = missingProgram(call, exit);
  if (missing !== undefined) return missing;
  const code = limited && exceededLimits(exit) ? 'source_too_complex' : causeOf(exit);
  const name = call.tool === 'qemu-img' ? `${call.tool} ${call.args[0] ?? ''}` : call.tool;
  return new StrataError(code, `${name} ${howItEnded(exit)}${saying(exit.stderr)}`, {
    ...(exit.spawnError ? { cause: exit.spawnError } : {}),
    details: {
      tool: call.tool,
      args: call.args,
      exitCode: exit.exitCode,
      signal: exit.signal,
      stderr: exit.stderr,
    },
  });
}

function missingProgram(call: ToolCall, exit: ToolExit): StrataError | undefined {
  const started = exit.spawnError === undefined;
  if (started && !(exit.exitCode === EXIT_NOT_FOUND && exit.stderr.includes('No such file or directory'))) {
    return undefined;
  }
  if (!started && exit.spawnError && !exit.spawnError.message.includes('ENOENT')) return undefined;
  const named = /failed to execute ([\w-]+):|^nice: '?([\w-]+)'?:/m.exec(exit.stderr);
  const program = started ? (named?.[1] ?? named?.[2] ?? call.tool) : 'setpriv';
  const from = PACKAGES[program];
  const hint = from === undefined ? '' : ` On Debian and Ubuntu it is in the package ${from}.`;
  return new StrataError('tool_missing', `The program ${program} is not installed.${hint}`, {
    ...(exit.spawnError ? { cause: exit.spawnError } : {}),
    details: { program, package: from, stderr: exit.stderr },
  });
}

function causeOf({ stderr }: ToolExit): ErrorCode {
  // The sandbox could not be made: that says nothing of the image.
  if (/^bwrap: /m.test(stderr)) return 'tool_failed';
  return CAUSES.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'tool_failed';
}

function exceededLimits({ signal, stderr }: ToolExit): boolean {
  return (signal !== undefined && LIMIT_SIGNALS.has(signal)) || LIMIT_MESSAGES.test(stderr);
}

function howItEnded({ exitCode, signal, spawnError }: ToolExit): string {
  if (spawnError) return 'could not be started';
  return signal === undefined ? `failed with exit code ${exitCode}` : `was killed by ${signal}`;
}

/** The tool's own last words, on one line. */
function saying(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/warning:/i.test(line));
  return lines.length === 0 ? '.' : `: ${lines.slice(-3).join(' ')}`;
}
