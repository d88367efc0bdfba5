import { Type } from 'typebox';
import {
  Token,
  TokenCreate,
  TokenCreated,
  TokenPage,
  TokenParams,
  TokenQuery,
} from '../../../contract/index.js';
import { createToken, deleteToken, getToken, listTokens } from '../../../db/fleet/tokens.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { readFuture } from '../instant.js';
import type { TokenCache } from '../tokenCache.js';
import { toToken } from '../views/token.js';

const tags = ['tokens'];
const PATH = `${API_PREFIX}/tokens`;

/** Bearer tokens; for admins only. */
export function tokenRoutes(app: Api, deps: HttpDeps, cache: TokenCache): void {
  const config = { access: 'admin' } as const;
  app.post(
    PATH,
    { schema: { tags, summary: 'Make a token', body: TokenCreate, response: { 201: TokenCreated } }, config },
    async ({ body }, reply) => {
      const expiresAt =
        body.expires_at === undefined ? null : readFuture(body.expires_at, 'expires_at', deps.clock.now());
      const wanted = { name: body.name, role: body.role, expiresAt, now: deps.clock.now() };
      const { token, row } = await createToken(deps.ds, wanted);
      return reply.code(201).send({ ...toToken(row), token });
    },
  );
  app.get(
    PATH,
    {
      schema: { tags, summary: 'List tokens', querystring: TokenQuery, response: { 200: TokenPage } },
      config,
    },
    async ({ query }) => toPage(await listTokens(deps.ds, pageRequest(query, 'id')), toToken),
  );
  app.get(
    `${PATH}/:id`,
    { schema: { tags, summary: 'Read a token', params: TokenParams, response: { 200: Token } }, config },
    async ({ params }) => toToken(await getToken(deps.ds, params.id)),
  );
  app.delete(
    `${PATH}/:id`,
    {
      schema: { tags, summary: 'Remove a token', params: TokenParams, response: { 204: Type.Null() } },
      config,
    },
    async ({ params }, reply) => {
      await deleteToken(deps.ds, params.id);
      cache.forget(params.id);
      return reply.code(204).send(null);
    },
  );
}
