import { StrataError } from '../../shared/errors.js';
import { checkVmName } from '../../shared/names.js';
import type { Manifest } from '../repository/manifest.js';
import type { ProblemCode } from './facts.js';

const ID = /^[0-9a-z_]{1,60}$/;
const CONTENT_ID = /^[0-9a-f]{64}$/;
const TYPES = ['full', 'incremental', 'differential'];
const LONGEST_TEXT = 191;

/** Where a manifest was found. */
export interface ManifestPlace {
  repositoryId: string;
  vmContextId: string;
  diskId: number;
  /** Its own name. */
  name: string;
}

/**
 * Says why a manifest cannot become rows of the catalogue; undefined when it can. Its checksum shows that it was not
 * changed by chance, not who wrote it: every value is checked as if it came from outside (invariant 18). Pure.
 */
export function checkManifest(manifest: Manifest, place: ManifestPlace): ProblemCode | undefined {
  if (manifest.repository_id !== place.repositoryId) return 'manifest_foreign';
  const here =
    manifest.vm_context_id === place.vmContextId &&
    manifest.disk_id === place.diskId &&
    manifest.file === place.name.replace(/\.json$/, '.qcow2');
  if (!here) return 'manifest_misplaced';
  return hasValues(manifest) ? undefined : 'manifest_refused';
}

function hasValues(manifest: Manifest): boolean {
  const full = manifest.backup_type === 'full';
  const nullable = [manifest.demoted_reason, manifest.change_id].every(
    (text) => text === null || isText(text),
  );
  return (
    hasIds(manifest) &&
    TYPES.includes(manifest.backup_type) &&
    [...TYPES, 'auto'].includes(manifest.requested_type) &&
    full === (manifest.parent_backup_id === null) &&
    full === (manifest.parent_file === null) &&
    (full || isText(manifest.parent_file)) &&
    nullable &&
    [null, 'extents', 'bitmap'].includes(manifest.tracker ?? null) &&
    isText(manifest.upstream_id) &&
    isVmName(manifest.vm_name) &&
    hasNumbers(manifest) &&
    CONTENT_ID.test(manifest.content_id) &&
    !Number.isNaN(Date.parse(manifest.created_at))
  );
}

function hasIds({ chain_id, backup_id, restore_point_id, parent_backup_id }: Manifest): boolean {
  return (
    isId('chn_', chain_id) &&
    isId('bkp_', backup_id) &&
    isId('rp_', restore_point_id) &&
    (parent_backup_id === null || isId('bkp_', parent_backup_id))
  );
}

function hasNumbers(manifest: Manifest): boolean {
  const { seq, fence, file_length, size_bytes, virtual_size, bytes_transferred, file_mtime_ms } = manifest;
  const counts = [seq, fence, file_length, size_bytes, virtual_size, bytes_transferred];
  return (
    counts.every((count) => Number.isSafeInteger(count) && count >= 0) &&
    Number.isFinite(file_mtime_ms) &&
    virtual_size > 0 &&
    virtual_size % 512 === 0
  );
}

function isId(prefix: string, value: unknown): boolean {
  return typeof value === 'string' && value.startsWith(prefix) && ID.test(value.slice(prefix.length));
}

function isText(value: unknown): boolean {
  // Characters, as the database counts them.
  return typeof value === 'string' && [...value].length <= LONGEST_TEXT;
}

function isVmName(value: unknown): boolean {
  try {
    return typeof value === 'string' && checkVmName(value, 'vm_name') === value;
  } catch (error) {
    if (error instanceof StrataError) return false;
    throw error;
  }
}
