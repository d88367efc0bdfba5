// The typed client of Strata's API, exported by the package as `strata/client`. Needs Node 20 and nothing else.
import type { Healthz, Job, Page, Readyz } from '../contract/index.js';
import { type BackupCalls, backupCalls } from './calls/backups.js';
import { type ChainCalls, chainCalls, type RestorePointCalls, restorePointCalls } from './calls/chains.js';
import { type JobCalls, jobCalls } from './calls/jobs.js';
import { type PolicyCalls, policyCalls } from './calls/policies.js';
import { type RepositoryCalls, repositoryCalls } from './calls/repositories.js';
import { type RestoreCalls, restoreCalls } from './calls/restores.js';
import { type TokenCalls, tokenCalls } from './calls/tokens.js';
import { type VmCalls, vmCalls } from './calls/vms.js';
import { type WebhookCalls, webhookCalls } from './calls/webhooks.js';
import { type ClientOptions, createTransport, type CallOptions, type Transport } from './transport.js';
import { type WaitOptions, waitForJob } from './waitForJob.js';

interface SystemCalls {
  /** The API's process lives. */
  healthz(options?: CallOptions): Promise<Healthz>;
  /** The API reaches its database and Redis. @throws database_unavailable, queue_unavailable */
  readyz(options?: CallOptions): Promise<Readyz>;
}

export interface StrataClient extends SystemCalls {
  repositories: RepositoryCalls;
  vms: VmCalls;
  backups: BackupCalls;
  restorePoints: RestorePointCalls;
  chains: ChainCalls;
  restores: RestoreCalls;
  jobs: JobCalls;
  policies: PolicyCalls;
  tokens: TokenCalls;
  webhooks: WebhookCalls;
  /** Waits until a job of any kind has ended. */
  waitForJob(id: string, options?: WaitOptions): Promise<Job>;
}

/**
 * Creates a client. Every call rejects with a StrataError: the API's own code and fields, `api_unreachable` when it does
 * not answer, `deadline_exceeded` after `timeoutMs`, or the signal's reason. Calls are repeated when the connection
 * breaks, up to three times within 1.5 s; POSTs carry an Idempotency-Key, so a repetition is one request to the server.
 * @throws invalid_request for a base URL that is not http(s)
 */
export function createClient(options: ClientOptions): StrataClient {
  const transport = createTransport(options);
  const jobs = jobCalls(transport);
  return {
    ...systemCalls(transport),
    repositories: repositoryCalls(transport),
    vms: vmCalls(transport),
    backups: backupCalls(transport),
    restorePoints: restorePointCalls(transport),
    chains: chainCalls(transport),
    restores: restoreCalls(transport),
    jobs,
    policies: policyCalls(transport),
    tokens: tokenCalls(transport),
    webhooks: webhookCalls(transport),
    waitForJob: (id, wait) => waitForJob((look) => jobs.get(id, look), transport.clock, wait),
  };
}

function systemCalls(transport: Transport): SystemCalls {
  return {
    healthz: (options) => transport.call({ method: 'GET', path: '/healthz', atRoot: true }, options),
    readyz: (options) => transport.call({ method: 'GET', path: '/readyz', atRoot: true }, options),
  };
}

/**
 * All items of a list, page by page: `for await (const vm of eachItem((page) => client.vms.list(page)))`.
 * @param limit stops after so many items
 */
export async function* eachItem<T>(
  list: (page: { cursor?: string; limit?: number }) => Promise<Page<T>>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<T> {
  let left = limit;
  let cursor: string | undefined;
  while (left > 0) {
    const page = await list({ limit: Math.min(left, PAGE), ...(cursor === undefined ? {} : { cursor }) });
    for (const item of page.items.slice(0, left)) yield item;
    left -= page.items.length;
    if (page.next_cursor === null) return;
    cursor = page.next_cursor;
  }
}

/** All items of a list at once; at most `limit`. */
export async function allItems<T>(
  list: (page: { cursor?: string; limit?: number }) => Promise<Page<T>>,
  limit?: number,
): Promise<T[]> {
  const items: T[] = [];
  for await (const item of eachItem(list, limit)) items.push(item);
  return items;
}

const PAGE = 200;

export type * from '../contract/index.js';
export { ERRORS, type ErrorCode, isErrorCode } from '../shared/errorCodes.js';
export { asStrataError, isStrataError, StrataError } from '../shared/errors.js';
export { isKnownDamage, type KnownDamage } from '../shared/knownDamage.js';
export { readEvents, type ServerSentEvent } from './eventStream.js';
export type { WrittenExtents } from './calls/backups.js';
export type { PageRequest, WorkOptions } from './calls/options.js';
export type { CallOptions, ClientOptions } from './transport.js';
export { hasEnded, type WaitOptions } from './waitForJob.js';
