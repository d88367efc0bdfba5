import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { listPools } from '../../db/repository/repositories.js';
import { StrataError } from '../../shared/errors.js';
import type { Api, HttpDeps } from './deps.js';
import { toProblem } from './problem.js';

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
  let shown = '';
  const refresh = async () => {
    const pools = [...new Set([...deps.settings.pools, ...(await listPools(deps.ds))])].sort();
    if (pools.join() === shown) return;
    shown = pools.join();
    board.replaceQueues(
      deps.queue.queues(pools).map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    );
  };
  adapter.setErrorHandler((error) => {
    deps.log.error({ err: error }, 'Bull Board failed');
    // The board's own handler would show the message of a defect to the browser.
    const problem = toProblem(new StrataError('internal', 'Bull Board failed.', { cause: error }), '');
    return { status: 500, body: { ...problem } };
  });
  app.register(async (scope) => {
    scope.addHook('preHandler', async (request) => {
      // A repository that was registered since may have brought a new pool.
      if (!request.url.startsWith(`${PATH}/static/`)) await refresh();
    });
    scope.register(adapter.registerPlugin(), { prefix: PATH });
  });
}
