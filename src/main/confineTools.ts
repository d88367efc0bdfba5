import type { Settings } from '../config/settings.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import { findSandbox, type Sandbox } from '../qcow2/index.js';
import { StrataError } from '../shared/errors.js';

interface Confinement {
  mode: Settings['sandbox'];
  /** Private, for the file of a trial. */
  directory: string;
  log: Logger;
  metrics: Pick<Metrics, 'toolsConfined'>;
}

/**
 * Finds out, once for the life of this worker, whether the QEMU tools that parse sources run in a sandbox, and says it in the
 * log and as a metric.
 * @throws service_failed where the operator demands a sandbox and the host has none
 */
export async function confineTools({
  mode,
  directory,
  log,
  metrics,
}: Confinement): Promise<Sandbox | undefined> {
  const found =
    mode === 'off' ? { sandbox: undefined, reason: 'STRATA_SANDBOX is off.' } : await findSandbox(directory);
  metrics.toolsConfined.set(found.sandbox ? 1 : 0);
  if (found.sandbox) {
    const as = found.sandbox.kind === 'root' ? 'nobody' : 'the worker, without capabilities';
    log.info({ as }, 'QEMU tools parse sources in a sandbox');
    return found.sandbox;
  }
  if (mode === 'required') {
    const message = `STRATA_SANDBOX is "required", and this host has no sandbox: ${found.reason} Install bubblewrap, allow namespaces, or set it to "auto".`;
    throw new StrataError('service_failed', message, { field: 'STRATA_SANDBOX' });
  }
  const without = 'QEMU tools parse sources with all rights of this worker: see docs/security.md';
  log.warn({ reason: found.reason }, without);
  return undefined;
}
