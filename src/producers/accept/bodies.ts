import type { DiskSource, OnBrokenChain, RequestedType, VerifyBackup } from '../../entities/index.js';
import type { SourceDoubt } from '../../services/backup/lookAtSource.js';
import type { Extent } from '../../shared/extents.js';

/** Something about the source of a disk that is registered or backed up nevertheless. */
export interface SourceWarning extends SourceDoubt {
  disk_id: number;
}

export interface BackupDiskBody {
  disk_id: number;
  source?: DiskSource;
  virtual_size?: number;
  change_id?: string;
  since_change_id?: string;
  changed_extents?: Extent[];
  /** The change list comes afterwards; the job waits for it. */
  extents_follow?: boolean;
}

export interface BackupBody {
  vm_name: string;
  /** Id or name. */
  repository_id: string;
  upstream_id?: string;
  backup_type: RequestedType;
  disks?: BackupDiskBody[];
  /** For `auto`: a full every so many backups, or when the last one is so many days old. */
  full_every?: number;
  full_after_days?: number;
  on_broken_chain?: OnBrokenChain;
  priority?: number;
  tags?: Record<string, string>;
  /** A validation of each disk's chain when its backup has completed. */
  verify?: VerifyBackup;
  /** Bytes per second, of each disk. */
  max_bytes_per_second?: number;
  deadline_seconds?: number;
}

export interface BackupAnswer {
  restore_point_id: string;
  vm_context_id: string;
  status: 'pending';
  disk_results: {
    disk_id: number;
    backup_id: string;
    status: 'queued' | 'released';
    /** What it will become as far as can be told now; the worker decides under the lease. */
    backup_type: string;
    demoted_reason: string | null;
    awaits_extents?: boolean;
    /** Of a push source: no worker has opened an export yet. */
    nbd_export?: null;
  }[];
  /** What there is to say of the disks' sources. */
  warnings?: SourceWarning[];
}
