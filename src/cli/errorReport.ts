import { ERRORS, type ErrorCode } from '../shared/errorCodes.js';
import type { StrataError } from '../shared/errors.js';
import { escapeInvisibleJson } from '../shared/invisible.js';
import { isKnownDamage, type KnownDamage } from '../shared/knownDamage.js';
import { printableLines, printable } from './render/printable.js';
import { formatBytes } from './render/bytes.js';

/** What to do next, where it is known. */
const HINTS: Partial<Record<ErrorCode, string | ((error: StrataError) => string | undefined)>> = {
  api_unreachable: 'Is it running? Start it with: strata up. Look with: strata status.',
  unauthorized: 'A token comes from --token, STRATA_TOKEN or cli.json, which `strata up` writes.',
  forbidden: 'An admin can make a token with a higher role: strata token add NAME --role operator.',
  path_not_allowed: pathHint,
  deadline_exceeded: ({ details }) =>
    details['no_answer'] === true ? 'Look with: strata status, and in the log of the API.' : undefined,
  nbd_not_allowed: 'Allow the server with: strata up --allow-nbd HOST:PORT (or STRATA_NBD_ALLOW).',
  source_references_other_file: 'Flatten the image first: qemu-img convert -O qcow2 IMAGE FLAT.qcow2.',
  chain_broken: 'Take a full: strata backup VM --type full, or allow it with --on-broken-chain full.',
  lineage_broken:
    'The catalogue was changed by hand. Take a full, and rebuild the catalogue from the repository: strata repo rebuild.',
  change_id_mismatch: 'Take a full, or leave --since-change-id away to compare with the latest backup.',
  repository_unavailable: 'Mount the file system of the repository; the job goes on by itself.',
  no_space: 'Free some space in the repository; the job goes on by itself.',
  file_exists: 'Choose a target that does not exist yet; restores never overwrite.',
  backup_damaged: 'Look at the chain: strata chain VM DISK, and choose a healthy point.',
  chain_moved:
    'Look at what would go with --dry-run, and name the newest backup that you have seen: --seen BACKUP.',
  backlog_full: 'Try again later.',
  tool_missing: 'Install it, or run scripts/setup.sh.',
};

/** What the path is for decides which roots it has to be below. */
function pathHint({ fields }: StrataError): string | undefined {
  const source = 'Allow a source with: strata up --allow PATH (or STRATA_SOURCE_ROOTS).';
  const target =
    'Restores write below STRATA_RESTORE_ROOTS only: by default the directory `restores` in the data directory. Set the variable (paths with commas between) and run: strata up.';
  const field = fields[0]?.field;
  if (field === undefined) return `${source} ${target}`;
  if (field.startsWith('target')) return target;
  return /(^|\.)source\b/.test(field) ? source : undefined;
}

/**
 * An error for a person: `error: <detail> [code]`, a line `field: message` per field, the ranges that are known to be
 * damaged, and a hint what to do next.
 * A `file_exists` and the like tell all in their detail; a cause is for logs.
 */
export function renderError(error: StrataError): string {
  const detail = printableLines(error.message);
  // One field that repeats the detail only adds its name.
  const fields = error.fields.map(({ field, message }) =>
    message === error.message
      ? `  field: ${printableLines(field)}`
      : `  ${printableLines(`${field}: ${message}`)}`,
  );
  const known = HINTS[error.code];
  const hint = typeof known === 'function' ? known(error) : known;
  const { damage } = error.details;
  const lines = [
    `error: ${detail} [${error.code}]`,
    ...fields,
    ...(isKnownDamage(damage) ? renderKnownDamage(damage) : []),
    ...(hint === undefined ? [] : [`hint: ${hint}`]),
  ];
  return `${lines.join('\n')}\n`;
}

/** The same as one line of problem JSON (RFC 9457, as the API's). */
export function renderProblem(error: StrataError): string {
  const { damage } = error.details;
  const problem = {
    type: 'about:blank',
    title: ERRORS[error.code].title,
    status: error.status,
    detail: error.message,
    code: error.code,
    exit_code: error.exitCode,
    errors: error.fields,
    ...(isKnownDamage(damage) ? { damage } : {}),
  };
  return `${escapeInvisibleJson(JSON.stringify(problem))}\n`;
}

/** What is known of a damaged backup, as lines below its error; none where no ranges are known. */
function renderKnownDamage({ located, count, bytes, ranges }: KnownDamage): string[] {
  if (count === 0) return [];
  const lines = ranges.map(({ offset, length, in_backup, unreadable }) =>
    printable(`${offset} ${length} in ${in_backup}${unreadable ? ', unreadable' : ''}`),
  );
  const more = count - ranges.length;
  return [
    `  damaged ranges: ${count}, ${formatBytes(bytes)} in all${located ? '' : ', and perhaps more'} (offset, length in bytes):`,
    ...lines.map((line) => `    ${line}`),
    ...(more > 0 ? [`    and ${more} more: strata validate tells all`] : []),
  ];
}
