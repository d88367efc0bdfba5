interface Link {
  id: string;
  parentBackupId: string | null;
}

export interface Lineage<T> {
  /** The backup itself, then its parents. */
  layers: T[];
  /** Why it does not end at a full among the given rows; undefined where it does. */
  broken: string | undefined;
}

/**
 * The rows that a backup stands on, topmost first. Pure.
 * @param rows the completed backups of the chain
 */
export function lineageOf<T extends Link>(rows: ReadonlyMap<string, T>, id: string): Lineage<T> {
  const layers: T[] = [];
  const seen = new Set<string>();
  for (let next: string | null = id; next !== null; ) {
    if (seen.has(next)) return { layers, broken: `backup ${next} is its own ancestor` };
    const row = rows.get(next);
    if (row === undefined) return { layers, broken: `backup ${next} is not a completed backup of the chain` };
    seen.add(next);
    layers.push(row);
    next = row.parentBackupId;
  }
  return { layers, broken: undefined };
}

/** Ids of the rows that are nobody's parent, in the given order: from these every row is reached. */
export function tipsOf(rows: readonly Link[]): string[] {
  const parents = new Set(rows.map((row) => row.parentBackupId));
  return rows.filter((row) => !parents.has(row.id)).map((row) => row.id);
}

/** Rows by their id. */
export function byId<T extends Link>(rows: readonly T[]): Map<string, T> {
  return new Map(rows.map((row) => [row.id, row]));
}
