import type { PushSettings } from '../shared/pushSettings.js';
import { readGateCredentials, removeDeadSockets } from '../datapath/index.js';

/**
 * Fails now on what would fail every pushed backup later, and removes what killed workers have left.
 * @throws invalid_configuration
 */
export async function preparePushExports({ tls, tlsDir, socketDir }: PushSettings): Promise<void> {
  if (tls !== 'none') await readGateCredentials(tls, tlsDir);
  if (socketDir !== undefined) await removeDeadSockets(socketDir);
}
