import type { RestoreFormat } from '../../entities/index.js';
import type { RestoredDamage } from './damage.js';

/** The `result` of a restore job. */
export interface RestoreResult {
  path: string;
  format: RestoreFormat;
  /** Bytes of the guest's disk. */
  virtual_size: number;
  /** Bytes that the file takes on its file system; of a block device, those of the disk. */
  bytes: number;
  content_id: string;
  /** The restored content was read back and has the content id. */
  verified: boolean;
  /** With `allow_damaged`: what of the target is not what was backed up. */
  damage?: RestoredDamage;
  seconds: number;
}
