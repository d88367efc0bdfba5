/**
 * What the queue does with a job that failed with a code:
 * `retry` after a backoff, counted against the job's attempts; `wait` and try again without costing an attempt;
 * `give_up` at once, because trying again cannot help.
 */
export type Outcome = 'retry' | 'wait' | 'give_up';

interface ErrorKind {
  /** HTTP status of a response that carries the code. */
  status: number;
  /** Exit code of the CLI. 2: bad input, 3: refused in this state, 4: not found, 5: not allowed, 6: failed, 7: try again later. */
  exit: number;
  outcome: Outcome;
  /** One sentence for a person; docs/errors.md lists them all. */
  title: string;
}

const input = (title: string, status = 400): ErrorKind => ({ status, exit: 2, outcome: 'give_up', title });
const refused = (title: string): ErrorKind => ({ status: 409, exit: 3, outcome: 'give_up', title });
const passing = (title: string, status = 503): ErrorKind => ({ status, exit: 7, outcome: 'retry', title });
const waiting = (title: string, status = 503): ErrorKind => ({ status, exit: 7, outcome: 'wait', title });
const failure = (title: string, status = 500): ErrorKind => ({ status, exit: 6, outcome: 'give_up', title });

/** The registry of every code that Strata shows to a user. Codes are never renamed: scripts match on them. */
export const ERRORS = {
  // Requests
  invalid_request: input('The request does not fit its schema.'),
  invalid_name: input('A name has characters that Strata does not accept.'),
  invalid_configuration: input('The configuration is not valid.'),
  unauthorized: { ...input('A valid bearer token is needed.', 401), exit: 5 },
  forbidden: { ...input('The token may not do this.', 403), exit: 5 },
  body_too_large: input('The body is larger than this call takes.', 413),
  unsupported_media_type: input('The body is not application/json.', 415),
  not_found: { ...input('There is no such thing.', 404), exit: 4 },
  method_not_allowed: input('The path has other methods than this.', 405),
  name_taken: refused('The name is taken already.'),
  idempotency_mismatch: { ...input('The Idempotency-Key was used with another request.', 422) },
  request_in_progress: waiting('The request with this Idempotency-Key is still under way.', 409),
  repository_not_empty: refused('The repository still holds backups.'),
  vm_in_use: refused('The VM still has restore points, open jobs or a policy.'),
  chain_moved: refused('What would be removed is not what the caller has seen.'),
  wrong_state: refused('The state of the object does not allow this.'),
  backlog_full: waiting('Too many jobs are waiting; try again later.', 429),
  // Sources
  path_not_allowed: input('The path is outside the allowed roots.'),
  unknown_format: input('The image format is not one that Strata reads.'),
  size_not_aligned: input('The size is not a multiple of 512 bytes.'),
  extents_invalid: input('The extent list is malformed.'),
  extents_out_of_range: input('An extent lies beyond the end of the disk.'),
  source_missing: input('The source does not exist or is not a readable image.', 422),
  source_references_other_file: input('The source image refers to another file.', 422),
  source_encrypted: input('The source image is encrypted.', 422),
  source_truncated: input('The end of the source image is missing.', 422),
  source_unsupported: input('The source image is of a kind that would be read wrongly.', 422),
  source_too_large: input('The disk is larger than Strata backs up.', 422),
  source_too_complex: input('The source image could not be inspected within its resource limits.', 422),
  source_in_use: refused('Another program has the source open for writing.'),
  source_changed: passing('The source changed while it was read.'),
  source_io_error: passing('The source could not be read.', 502),
  nbd_not_allowed: input('The NBD address is not allowed by STRATA_NBD_ALLOW.'),
  bitmap_missing: input('The source does not offer the dirty bitmap.', 422),
  // Targets
  target_in_use: passing('The device or file to be written is in use.', 409),
  target_changed: failure('The directory or device to be written was exchanged meanwhile.', 409),
  target_unreliable: failure('The target does not take or hold what is written to it.'),
  resource_busy: waiting('Another job reads or writes the same file or device.', 409),
  // NBD
  nbd_connection_lost: passing('The NBD connection was lost.'),
  nbd_protocol_error: failure('The NBD server broke the protocol.', 502),
  nbd_refused: failure('The NBD server refused the export or the option.', 502),
  nbd_io_error: passing('The NBD server reported an I/O error.', 502),
  nbd_out_of_bounds: failure('A request lies outside the NBD export.'),
  // Agents that push
  push_not_open: refused('The export of the backup is not open now.'),
  push_attempt_over: refused('The export that the agent speaks of is over; a new one begins from nothing.'),
  push_connected: refused('Agents are still connected to the export.'),
  push_nothing_written: refused('Nobody has connected to the export that is said to be written.'),
  push_wrong_disk: refused('The backup is of another disk.'),
  push_change_id_differs: refused('Another change id was given for the backup before.'),
  push_type_differs: refused('The agent has not said that it wrote what the backup became.'),
  push_unanswered: passing('The worker has not decided on the completion yet; ask again.'),
  push_agent_failed: failure('The agent has reported that it failed.', 502),
  push_agent_silent: failure('The agent was silent for too long.', 504),
  push_agent_awaited: waiting('No agent has come yet; a job that only reads goes first.'),
  push_ports_exhausted: waiting("All ports of the worker's host for exports are in use."),
  // Chains
  chain_broken: refused('The chain has no usable parent for an incremental backup.'),
  lineage_broken: refused('What the catalogue says of the chain does not lead to a full.'),
  change_id_mismatch: refused('The change list does not belong to the latest backup of the chain.'),
  tracker_lied: failure('The tracker left changes out; the whole disk is compared instead.'),
  backup_damaged: refused('The backup is damaged.'),
  backup_in_use: refused('The backup is protected or in use.'),
  validation_failed: failure('The check of the chain found problems.'),
  content_mismatch: failure('The content read back is not the content that was written.'),
  // Tools
  tool_missing: failure('A system program is not installed.'),
  tool_failed: passing('A QEMU tool failed.', 500),
  tool_timeout: passing('A QEMU tool did not finish in time.', 500),
  tool_output_invalid: failure('A QEMU tool printed something unexpected.'),
  image_corrupt: failure('qemu-img check found corruption.'),
  image_unreadable: passing('An image of the repository cannot be read.', 500),
  digest_index_invalid: failure('The digest index is malformed or does not match its checksum.'),
  manifest_invalid: failure('The manifest is malformed or does not match its checksum.'),
  // Repositories
  repository_unavailable: waiting('The repository is not mounted, or its marker file is missing.'),
  repository_unsupported: input('The file system of the repository cannot do what Strata needs.', 422),
  repository_file_in_use: waiting('A file of the repository is locked by another program.', 409),
  repository_marker_foreign: input('The directory belongs to another repository.', 422),
  repository_still_there: refused('The repository is still at its old path: there would be two copies.'),
  repository_busy: {
    ...refused('Jobs of the repository are running or waiting.'),
    exit: 7,
    outcome: 'retry',
  },
  file_exists: refused('The target file exists already.'),
  file_missing: failure('A file of the repository is missing.'),
  no_space: waiting('The file system has no room.', 507),
  // Client
  api_unreachable: passing('The API does not answer.'),
  // Jobs
  cancelled: { ...refused('The job was cancelled.'), exit: 6 },
  deadline_exceeded: failure('The job did not finish within its deadline.', 504),
  attempts_exhausted: failure('The job failed on every attempt.'),
  backup_goes_first: waiting(
    'A backup that was accepted before may read the device that the restore would overwrite.',
    409,
  ),
  chain_wanted: waiting('Another job waits for the chain; the rest is done in its next turn.', 409),
  lease_held: waiting('Another job works on the chain.', 409),
  lease_lost: waiting('The lease of the chain was lost; the work was stopped.'),
  shutting_down: waiting('The process is stopping.'),
  // Services
  pool_unserved: passing('No live worker serves the pool of a repository.'),
  database_unavailable: waiting('The database does not answer.'),
  queue_unavailable: waiting('Redis does not answer.'),
  service_failed: failure('An embedded service did not start.'),
  internal: failure('Something unexpected happened; this is a defect of Strata.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** Narrows a string from a database row or a response to a code of the registry. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}
