import type {
  ChainValidate,
  Consolidation,
  JobAccepted,
  Page,
  ReconcileReport,
  ContentRemovalQuery,
  Repository,
  RepositoryAdopt,
  RepositoryCreate,
  RepositoryPatch,
  RepositoryRebuild,
  RepositoryReconcile,
  RepositorySpace,
  RepositoryValidation,
  ValidationsAccepted,
} from '../../contract/index.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { keyOf, listOf, type PageRequest, type WorkOptions } from './options.js';

export interface RepositoryCalls {
  create(body: RepositoryCreate, options?: WorkOptions): Promise<Repository>;
  list(page?: PageRequest, options?: CallOptions): Promise<Page<Repository>>;
  get(id: string, options?: CallOptions): Promise<Repository>;
  update(id: string, body: RepositoryPatch, options?: CallOptions): Promise<Repository>;
  /** Takes a known repository up at another path. @throws repository_still_there, repository_busy */
  adopt(body: RepositoryAdopt, options?: CallOptions): Promise<Repository>;
  /** @throws repository_not_empty while it holds backups */
  remove(id: string, options?: CallOptions): Promise<void>;
  /** Compares catalogue and files; jobs put right what differs, unless it is a dry run. */
  reconcile(id: string, body: RepositoryReconcile, options?: WorkOptions): Promise<ReconcileReport>;
  /**
   * Accepts a job that takes unknown backups into the catalogue; a second one changes nothing. Wait for `job_id` with `waitForJob`:
   * the job's `result` is a RebuildReport.
   */
  rebuild(id: string, body: RepositoryRebuild, options?: WorkOptions): Promise<JobAccepted>;
  /** Who holds what in it, and what can come free. */
  space(id: string, options?: CallOptions): Promise<RepositorySpace>;
  /** How its chains are, and which validations are overdue. */
  validation(id: string, options?: CallOptions): Promise<RepositoryValidation>;
  /** Accepts a validation of each of its chains. */
  validate(id: string, body: ChainValidate, options?: WorkOptions): Promise<ValidationsAccepted>;
  /** Removes all backups in it, or, with the reason, none. */
  removeBackups(id: string, query?: ContentRemovalQuery, options?: WorkOptions): Promise<Consolidation>;
}

/** These look at every file or chain of the repository before they answer; the API gives itself 280 s. */
const UPKEEP_TIMEOUT_MS = 290_000;

export function repositoryCalls(transport: Transport): RepositoryCalls {
  const base = path('repositories');
  const one = (id: string) => path('repositories', id);
  return {
    create: (body, options) =>
      transport.call({ method: 'POST', path: base, body, idempotencyKey: keyOf(options) }, options),
    list: (page, options) => listOf(transport)(base, page, options),
    get: (id, options) => transport.call({ method: 'GET', path: one(id) }, options),
    update: (id, body, options) => transport.call({ method: 'PATCH', path: one(id), body }, options),
    adopt: (body, options) =>
      transport.call({ method: 'POST', path: path('repositories', 'adopt'), body }, options),
    remove: (id, options) => transport.call({ method: 'DELETE', path: one(id) }, options),
    reconcile: (id, body, options) => {
      const of = path('repositories', id, 'reconcile');
      const idempotencyKey = keyOf(options);
      const timeoutMs = UPKEEP_TIMEOUT_MS;
      return transport.call({ method: 'POST', path: of, body, idempotencyKey, timeoutMs }, options);
    },
    space: (id, options) =>
      transport.call({ method: 'GET', path: path('repositories', id, 'space') }, options),
    validation: (id, options) =>
      transport.call({ method: 'GET', path: path('repositories', id, 'validation') }, options),
    validate: (id, body, options) => {
      const of = path('repositories', id, 'validate');
      const idempotencyKey = keyOf(options);
      const timeoutMs = UPKEEP_TIMEOUT_MS;
      return transport.call({ method: 'POST', path: of, body, idempotencyKey, timeoutMs }, options);
    },
    removeBackups: (id, query, options) => {
      const of = path('repositories', id, 'backups');
      return transport.call({ method: 'DELETE', path: of, query, idempotencyKey: keyOf(options) }, options);
    },
    rebuild: (id, body, options) => {
      const of = path('repositories', id, 'rebuild');
      return transport.call({ method: 'POST', path: of, body, idempotencyKey: keyOf(options) }, options);
    },
  };
}
