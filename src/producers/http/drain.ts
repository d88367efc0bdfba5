import type { Api } from './deps.js';

const SWEEP_MS = 100;

/**
 * Lets a closing server come to its end: what is under way is answered, but no connection is kept for a further request.
 * Node (20) ends the idle connections when the closing begins, and waits for those that become idle later until their
 * clients let go, which may be minutes.
 */
export function drainOnClose(app: Api): void {
  let sweep: NodeJS.Timeout | undefined;
  app.addHook('preClose', async () => {
    sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS);
  });
  app.addHook('onSend', async (_request, reply) => {
    if (sweep) reply.header('connection', 'close');
  });
  app.addHook('onClose', async () => clearInterval(sweep));
}
