import type { Chain, ChainBackup } from '../../client/index.js';
import { formatShare } from './bytes.js';
import { layOutChain, type TreeLine } from './chainTree.js';
import { printable } from './printable.js';
import { renderTable } from './table.js';
import { formatTime } from './time.js';

type Size = (bytes: number | null | undefined) => string;

/** What the completed layers of a chain hold and take, in bytes. */
export interface ChainSpace {
  points: number;
  /** What the guest sees, over all points. */
  logical: number;
  /** What the files take on the file system. */
  stored: number;
  /** What the points would take, each as a full like its segment's: the fair comparison, since disks have holes. */
  asFulls: number;
}

/** Adds up the completed layers. */
export function chainSpace(backups: readonly ChainBackup[]): ChainSpace {
  const space: ChainSpace = { points: 0, logical: 0, stored: 0, asFulls: 0 };
  let full = 0;
  for (const backup of backups) {
    if (backup.status !== 'completed') continue;
    const stored = backup.size_bytes ?? 0;
    if (backup.backup_type === 'full') full = stored;
    space.points += 1;
    space.logical += backup.virtual_size ?? 0;
    space.stored += stored;
    space.asFulls += Math.max(full, stored);
  }
  return space;
}

/** Draws a chain: each layer with what it takes, what did not complete, and the space saved. */
export function renderChain(chain: Chain, size: Size): string {
  const head = `${printable(chain.vm_name)} disk ${chain.disk_id}  ${chain.id}  health ${chain.health}  ${validated(chain)}\n`;
  const columns = [
    { title: 'LAYER', value: ({ graph, backup }: TreeLine) => `${graph} ${backup.backup_type ?? '?'}` },
    { title: 'TIME', value: ({ backup }: TreeLine) => formatTime(backup.created_at) },
    { title: 'STORED', value: ({ backup }: TreeLine) => size(backup.size_bytes), align: 'right' as const },
    { title: 'VIRTUAL', value: ({ backup }: TreeLine) => size(backup.virtual_size), align: 'right' as const },
    { title: 'HEALTH', value: ({ backup }: TreeLine) => backup.health },
    { title: 'CHANGE ID', value: ({ backup }: TreeLine) => backup.change_id },
    { title: 'BACKUP', value: ({ backup }: TreeLine) => backup.id },
    { title: 'NOTE', value: ({ backup }: TreeLine) => backup.demoted_reason },
  ];
  const tree = renderTable(columns, layOutChain(chain.backups), 'No completed backup.');
  return head + tree + renderOthers(chain.backups) + renderSpace(chainSpace(chain.backups), size);
}

/** The two lines about space; nothing for an empty chain. */
export function renderSpace(space: ChainSpace, size: Size): string {
  if (space.points === 0) return '';
  const points = `${space.points} ${space.points === 1 ? 'point' : 'points'}`;
  const saved = space.logical - space.stored;
  const first = `${points}: ${size(space.logical)} logical, ${size(space.stored)} stored, ${size(saved)} saved (${formatShare(saved, space.logical)})\n`;
  if (space.points === 1) return first;
  const less = space.asFulls - space.stored;
  return `${first}as ${space.points} fulls: ${size(space.asFulls)}, so increments save ${size(less)} (${formatShare(less, space.asFulls)})\n`;
}

function validated(chain: Chain): string {
  return chain.last_validated_at === null
    ? 'never validated'
    : `validated ${formatTime(chain.last_validated_at)}`;
}

function renderOthers(backups: readonly ChainBackup[]): string {
  const counts = new Map<string, number>();
  for (const { status } of backups) {
    if (status !== 'completed') counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  const parts = [...counts].map(([status, count]) => `${count} ${status}`);
  return parts.length === 0 ? '' : `not in the chain: ${parts.join(', ')}\n`;
}
