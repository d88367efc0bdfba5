import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import { escapeInvisibleJson } from '../../shared/invisible.js';
import { requireTokens } from './auth.js';
import { showQueues } from './board.js';
import type { Api, HttpDeps } from './deps.js';
import { refuseOtherMethods } from './methods.js';
import { answerOncePerKey } from './oncePerKey.js';
import { describeApi } from './openapi.js';
import { rawProblem, sendProblem } from './problem.js';
import { backupRoutes } from './routes/backups.js';
import { chainRoutes } from './routes/chains.js';
import { eventRoutes } from './routes/events.js';
import { extentRoutes } from './routes/extents.js';
import { jobRoutes } from './routes/jobs.js';
import { policyRoutes } from './routes/policies.js';
import { removalRoutes } from './routes/removal.js';
import { pushRoutes } from './routes/push.js';
import { protectionRoutes } from './routes/protection.js';
import { repositoryRoutes } from './routes/repositories.js';
import { restorePointRoutes } from './routes/restorePoints.js';
import { restoreRoutes } from './routes/restores.js';
import { spaceRoutes } from './routes/space.js';
import { systemRoutes } from './routes/system.js';
import { tokenRoutes } from './routes/tokens.js';
import { validationRoutes } from './routes/validations.js';
import { vmRoutes } from './routes/vms.js';
import { webhookRoutes } from './routes/webhooks.js';
import { addSecurityHeaders, securityHeaders } from './securityHeaders.js';
import { createTokenCache } from './tokenCache.js';
import { refuseUnknownQueries } from './validation.js';
import { compileValidator } from './validation.js';

export type { Api, HttpDeps } from './deps.js';

/** Bytes; POST /backups takes more. */
const BODY_LIMIT = 1024 * 1024;
/** A client may take this long to send a request; Fastify's own default is no limit. */
const REQUEST_TIMEOUT_MS = 300_000;
/** Characters of a path's parameter: the longest is a VM context id. */
const LONGEST_PARAM = 200;

/**
 * Builds the HTTP API; it does not listen yet. Closing it ends the event streams and waits for the requests under way;
 * database, queues and the rest of `deps` stay open and belong to the caller.
 */
export function createHttpServer(deps: HttpDeps): Api {
  const app = createServer(deps);
  const tokens = createTokenCache(deps.ds, deps.clock);
  drainOnClose(app);
  addSecurityHeaders(app);
  requireTokens(app, tokens);
  refuseOtherMethods(app);
  refuseUnknownQueries(app);
  answerOncePerKey(app, deps);
  describeApi(app);
  showQueues(app, deps);
  // Within a plugin, so that the description, which is one itself, is there before the routes that it describes.
  app.register(async (scope) => {
    const api: Api = scope.withTypeProvider<TypeBoxTypeProvider>();
    repositoryRoutes(api, deps);
    vmRoutes(api, deps);
    backupRoutes(api, deps);
    extentRoutes(api, deps);
    pushRoutes(api, deps);
    restorePointRoutes(api, deps);
    chainRoutes(api, deps);
    validationRoutes(api, deps);
    removalRoutes(api, deps);
    spaceRoutes(api, deps);
    restoreRoutes(api, deps);
    jobRoutes(api, deps);
    eventRoutes(api, deps, tokens);
    tokenRoutes(api, deps, tokens);
    policyRoutes(api, deps);
    protectionRoutes(api, deps);
    webhookRoutes(api, deps);
    systemRoutes(api, deps);
  });
  return app;
}

function createServer(deps: HttpDeps): Api {
  const loggerInstance: FastifyBaseLogger = deps.log;
  const app: Api = Fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: LONGEST_PARAM },
    genReqId: newRequestId,
    return503OnClosing: false,
    // No hook runs for a path that the router cannot read.
    frameworkErrors: (error, request, reply) => {
      reply.headers(securityHeaders(request.url));
      void sendProblem(error, request, reply);
    },
    clientErrorHandler: answerGarbage,
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.removeContentTypeParser('text/plain');
  takeEmptyBodies(app);
  app.setValidatorCompiler(compileValidator);
  // Answers are typed by their schemas when they are built, and checked against them by the tests.
  app.setSerializerCompiler(() => (answer) => escapeInvisibleJson(JSON.stringify(answer)));
  app.setErrorHandler(sendProblem);
  return app;
}

/** Many clients name JSON in every request: one without a body has none, as if it named nothing. */
function takeEmptyBodies(app: Api): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body: string, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body, done);
  });
}

/** What Node's parser refuses never becomes a request. */
function answerGarbage(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(rawProblem(newRequestId(), error.code === 'HPE_HEADER_OVERFLOW'));
}

function newRequestId(): string {
  return `req_${randomBytes(10).toString('hex')}`;
}

const SWEEP_MS = 100;

/**
 * Lets a closing server come to its end: what is under way is answered, but no connection is kept for a further request.
 * Node (20) ends the idle connections when the closing begins, and waits for those that become idle later until their
 * clients let go, which may be minutes.
 */
function drainOnClose(app: Api): void {
  let sweep: NodeJS.Timeout | undefined;
  app.addHook('preClose', async () => {
    sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS);
  });
  app.addHook('onSend', async (_request, reply) => {
    if (sweep) reply.header('connection', 'close');
  });
  app.addHook('onClose', async () => clearInterval(sweep));
}
