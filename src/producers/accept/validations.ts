import type { Delivery } from '../../shared/jobs.js';
import type { ValidationsAccepted, JobAccepted } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import { findOpenValidation } from '../../db/job/openValidation.js';
import { lockChain } from '../../db/job/position.js';
import { type ChainOfTarget, type ChainOwner, chainsOf } from '../../db/chain/targets.js';
import type { ValidateParams, ValidationLevel } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { addMaintenance } from './addMaintenance.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce, answerOf } from './once.js';

/** A chain, by what people call it. */
type Place = Omit<ValidationsAccepted['skipped'][number], 'reason'>;

/** Chains that one transaction locks: backups of all of them wait for it. */
const CHAINS_AT_ONCE = 50;
/** Chains of one request, so that its answer stays within a few MiB. */
const MOST_CHAINS = 10_000;

/**
 * Accepts a validation of every chain of a VM or a repository that has backups. A chain that has such a validation open gets no
 * second one; the answer names the open one. Some chains at a time: where that is cut off, the same request again does
 * the rest.
 * @throws not_found; invalid_request where there are more chains than one request may have
 */
export async function acceptValidations(
  deps: AcceptDeps,
  owner: ChainOwner,
  level: ValidateParams['level'],
  idempotency?: Idempotency,
): Promise<ValidationsAccepted> {
  const earlier = await answerOf<ValidationsAccepted>(deps, idempotency);
  if (earlier) return earlier;
  const chains = await chainsOf(deps.ds, owner, MOST_CHAINS + 1);
  if (chains.length > MOST_CHAINS) {
    throw new StrataError(
      'invalid_request',
      `There are more than ${MOST_CHAINS} chains; one request validates no more: go VM by VM.`,
    );
  }
  const answer: ValidationsAccepted = { level, jobs: [], skipped: [] };
  for (const chain of chains)
    if (!chain.hasBackups) answer.skipped.push({ ...placeOf(chain), reason: 'no_backups' });
  const live = chains.filter(({ hasBackups }) => hasBackups);
  for (let from = 0; from < live.length; from += CHAINS_AT_ONCE) {
    const some = live.slice(from, from + CHAINS_AT_ONCE);
    answer.jobs.push(...(await acceptOnce(deps, undefined, (tx) => addAll(tx, deps, some, { level }))));
  }
  return acceptOnce(deps, idempotency, async () => ({ answer, deliveries: [] }));
}

/** The chains come in the one order in which chains are locked. */
async function addAll(
  tx: EntityManager,
  deps: AcceptDeps,
  chains: readonly ChainOfTarget[],
  params: ValidateParams,
): Promise<{ answer: ValidationsAccepted['jobs']; deliveries: Delivery[] }> {
  const answer: ValidationsAccepted['jobs'] = [];
  const deliveries: Delivery[] = [];
  for (const chain of chains) {
    await lockChain(tx, chain.chainId);
    const open = await findOpenValidation(tx, chain.chainId, params);
    const job = open
      ? { job_id: open.id, status: open.status, added: false }
      : {
          ...(await addMaintenance(
            tx,
            deps,
            { chainId: chain.chainId, type: 'validate', params },
            deliveries,
          )),
          added: true,
        };
    answer.push({ ...placeOf(chain), ...job });
  }
  return { answer, deliveries };
}

function placeOf({ chainId, vmContextId, vmName, diskId }: ChainOfTarget): Place {
  return { chain_id: chainId, vm_context_id: vmContextId, vm_name: vmName, disk_id: diskId };
}

/**
 * Accepts a validation of a chain; it takes its turn in the chain's FIFO.
 * @throws not_found when there is no such chain
 */
export async function acceptValidation(
  deps: AcceptDeps,
  request: { chainId: string; level: ValidationLevel },
  idempotency?: Idempotency,
): Promise<JobAccepted> {
  return acceptOnce(deps, idempotency, async (tx) => {
    const deliveries: Delivery[] = [];
    const { chainId, level } = request;
    const answer = await addMaintenance(
      tx,
      deps,
      { chainId, type: 'validate', params: { level } },
      deliveries,
    );
    return { answer, deliveries };
  });
}
