import type { Backup } from '../../client/index.js';
import { renderTable } from './table.js';
import { formatTime } from './time.js';

type Size = (bytes: number | null | undefined) => string;

/** Draws backups as a table. */
export function backupsTable(backups: readonly Backup[], size: Size): string {
  const columns = [
    { title: 'BACKUP', value: (row: Backup) => row.id },
    { title: 'VM', value: (row: Backup) => row.vm_name },
    { title: 'DISK', value: (row: Backup) => row.disk_id, align: 'right' as const },
    { title: 'TYPE', value: (row: Backup) => row.backup_type ?? row.requested_type },
    { title: 'STATUS', value: (row: Backup) => row.status },
    { title: 'HEALTH', value: (row: Backup) => row.health },
    { title: 'CREATED', value: (row: Backup) => formatTime(row.created_at) },
    { title: 'STORED', value: (row: Backup) => size(row.size_bytes), align: 'right' as const },
    { title: 'NOTE', value: noteOf },
  ];
  return renderTable(columns, backups, 'No backups.');
}

/** Why it is not what was asked for. */
function noteOf(backup: Backup): string | null {
  if (backup.error) return backup.error.code;
  return backup.demoted_reason;
}
