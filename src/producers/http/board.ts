import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { listPools } from '../../db/stores/repositories.js';
import type { Api, HttpDeps } from './deps.js';
import { sendProblem } from './problem.js';

const PATH = '/queues';

/**
 * Bull Board, for looking only: queue entries follow from the database, and one that is added, promoted or removed by
 * hand would be repaired by the sweeper. Its login is the token of the API, as bearer header or as the password of the
 * browser's login.
 */
export function showQueues(app: Api, deps: HttpDeps): void {
  const adapter = new FastifyAdapter();
  adapter.setBasePath(PATH);
  const board = createBullBoard({
    queues: [],
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Strata' } },
  });
  const plugin = adapter.registerPlugin();
  let shown = '';
  const refresh = async () => {
    const pools = [...new Set([...deps.settings.pools, ...(await listPools(deps.ds))])].sort();
    if (pools.join() === shown) return;
    shown = pools.join();
    board.replaceQueues(
      deps.queue.queues(pools).map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    );
  };
  app.register(
    (scope, options, done) => {
      scope.addHook('preHandler', async (request) => {
        // A repository that was registered since may have brought a new pool.
        if (!request.url.startsWith(`${PATH}/static/`)) await refresh();
      });
      plugin(scope, options, (error) => {
        // The board's own handler knows nothing of tokens, and would answer a missing one with 500.
        scope.setErrorHandler(sendProblem);
        done(error);
      });
    },
    { prefix: PATH },
  );
}
