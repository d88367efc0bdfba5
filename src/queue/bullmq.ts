// BullMQ by `require`, for the reason given in src/entities/orm.ts.
import { createRequire } from 'node:module';

const bullmq = createRequire(import.meta.url)('bullmq') as typeof import('bullmq');

export const { DelayedError, ErrorCode, Queue, UnrecoverableError, Worker } = bullmq;
export type Queue = import('bullmq').Queue;
export type { AdvancedOptions, Job } from 'bullmq';
