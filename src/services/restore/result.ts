import type { RestoreFormat } from '../../entities/index.js';

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
  seconds: number;
}
