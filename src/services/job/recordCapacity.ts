import type { DataSource } from '../../db/database.js';
import { saveCapacity } from '../../db/repository/repositories.js';
import { type Capacity, readCapacity } from '../repository/capacity.js';

/** Reads how full the repository's file system is, and shows it in the catalogue. */
export async function recordCapacity(
  ds: DataSource,
  { id, rootPath }: { id: string; rootPath: string },
  now: Date,
): Promise<Capacity> {
  const capacity = await readCapacity(rootPath);
  await saveCapacity(ds, id, capacity, now);
  return capacity;
}
