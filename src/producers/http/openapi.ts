import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { Problem } from '../../contract/index.js';
import { type Api, API_PREFIX } from './deps.js';

const DESCRIPTION = `Backs up VM disks into QCOW2 backing-file chains.

Send \`Authorization: Bearer <token>\` with every call. This page and Bull Board at \`/queues\` also take the token as the
password of the browser's login, with any user name. Errors are problem details (RFC 9457); their \`code\` is one of
docs/errors.md. Sizes are in bytes, times ISO 8601 in UTC. Every POST and DELETE takes an
\`Idempotency-Key\`: the same request with the same key is done once and answered the same for 7 days; with the key of another
request it is refused (422).`;

interface Operation {
  responses?: Record<string, unknown>;
  parameters?: unknown[];
  operationId?: string;
}

const PROBLEM_RESPONSE = { $ref: '#/components/responses/Problem' };
const IDEMPOTENCY_KEY = {
  in: 'header',
  name: 'Idempotency-Key',
  required: false,
  schema: { type: 'string', minLength: 1, maxLength: 191 },
  description:
    'The same request with the same key is accepted once, and answered the same; another one with it is refused.',
};

/** The description of the API, made from the routes' schemas, and a page to read it. Register before the routes. */
export function describeApi(app: Api): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Strata',
        version: '1',
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject;
      return withProblems(document.openapiObject as Document);
    },
  });
  app.register(swaggerUi, { routePrefix: '/docs', uiConfig: { deepLinking: true }, staticCSP: false });
  app.get(
    `${API_PREFIX}/openapi.json`,
    { schema: { hide: true }, config: { access: 'viewer' } },
    async (_request, reply) => reply.send(app.swagger()),
  );
}

interface Document {
  paths?: Record<string, Record<string, Operation>>;
  components?: Record<string, unknown>;
}

/** Adds what all calls have in common and no route says: the errors, a name, the key. */
function withProblems(document: Document): Document {
  const paths = Object.entries(document.paths ?? {}).map(([path, operations]) => [
    path,
    Object.fromEntries(
      Object.entries(operations).map(([method, operation]) => [method, complete(path, method, operation)]),
    ),
  ]);
  const problem = {
    description: 'An error.',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
  const components = { ...document.components, schemas: { Problem }, responses: { Problem: problem } };
  return { ...document, components, paths: Object.fromEntries(paths) as NonNullable<Document['paths']> };
}

function complete(path: string, method: string, operation: Operation): Operation {
  const words = path
    .replace(API_PREFIX, '')
    .split(/[^A-Za-z]+/)
    .filter((word) => word !== '');
  const takesKey = method === 'post' || method === 'delete';
  return {
    ...operation,
    operationId: [method, ...words]
      .join('_')
      .replaceAll(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase()),
    ...(takesKey ? { parameters: [...(operation.parameters ?? []), IDEMPOTENCY_KEY] } : {}),
    responses: { ...operation.responses, '4XX': PROBLEM_RESPONSE, '5XX': PROBLEM_RESPONSE },
  };
}
