import { type Delivery } from '../../shared/jobs.js';
import type { JobAccepted } from '../../contract/index.js';
import type { ValidationLevel } from '../../entities/index.js';
import { addMaintenance } from './addMaintenance.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce } from './once.js';

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
