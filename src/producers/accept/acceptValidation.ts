import { takePosition } from '../../db/jobs/position.js';
import { StrataError } from '../../shared/errors.js';
import { newId } from '../../shared/ids.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce } from './once.js';

export interface JobAnswer {
  job_id: string;
  status: 'queued' | 'released';
}

/**
 * Accepts a validation of a chain; it takes its turn in the chain's FIFO.
 * @throws not_found when there is no such chain
 */
export async function acceptValidation(
  deps: AcceptDeps,
  request: { chainId: string; level: 'quick' },
  idempotency?: Idempotency,
): Promise<JobAnswer> {
  return acceptOnce(deps, idempotency, async (tx) => {
    const chains = await tx.query<{ repository_id: string; pool: string }[]>(
      `SELECT v.repository_id, r.pool FROM backup_chains c
       JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id JOIN repositories r ON r.id = v.repository_id WHERE c.id = ?`,
      [request.chainId],
    );
    const chain = chains[0];
    if (!chain) throw new StrataError('not_found', `There is no chain ${request.chainId}.`);
    const { seq, status } = await takePosition(tx, request.chainId);
    const id = newId('mnt', deps.clock.now());
    await tx.query(
      `INSERT INTO maintenance_jobs (id, chain_id, seq, status, created_at, repository_id, type, params)
       VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3), ?, 'validate', ?)`,
      [id, request.chainId, seq, status, chain.repository_id, JSON.stringify({ level: request.level })],
    );
    const delivery = {
      kind: 'maintenance' as const,
      jobId: id,
      pool: chain.pool,
      delivery: 1,
      delayMs: 0,
      priority: 0,
    };
    return { answer: { job_id: id, status }, deliveries: status === 'released' ? [delivery] : [] };
  });
}
