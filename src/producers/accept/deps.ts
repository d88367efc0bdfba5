import type { DataSource } from '../../db/database.js';
import type { Logger } from '../../observability/logger.js';
import type { QueueSet } from '../../queue/deliver.js';
import type { Clock } from '../../shared/clock.js';
import type { SourceLook } from '../../services/backup/lookAtSource.js';
import type { SourceIdentities } from '../../services/backup/sameSource.js';
import type { Backlog } from './backlog.js';

/** What accepting work needs. */
export interface AcceptDeps {
  ds: DataSource;
  queue: QueueSet;
  clock: Clock;
  log: Logger;
  backlog: Backlog;
  sourceLook: SourceLook;
  sourceIdentities: SourceIdentities;
  settings: {
    sourceRoots: string[];
    restoreRoots: string[];
    nbdAllow: string[];
    /** How long a backup waits for its change list. */
    extentsWaitMs: number;
  };
}

/** An Idempotency-Key as the HTTP layer saw it. */
export type { UsedKey as Idempotency } from '../../db/job/idempotency.js';
