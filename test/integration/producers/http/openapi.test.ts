import { expect } from 'chai';
import { Compile } from 'typebox/compile';
import { BASE, openApi, type TestApi } from './support.js';

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  parameters?: { in: string; name: string; required?: boolean; schema: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<
    string,
    { $ref?: string; description?: string; content?: Record<string, { schema: object }> }
  >;
}

describe('The description of the API', () => {
  let api: TestApi;
  // oxlint-disable-next-line typescript/no-explicit-any -- a document of any shape, that the tests look into
  let document: any;
  let operations: [path: string, method: string, operation: Operation][];
  before(async () => {
    api = await openApi();
    document = (await api.call('GET', 'openapi.json', { as: 'viewer' })).body;
    operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
      ([path, item]) =>
        Object.entries(item).map(([method, operation]): [string, string, Operation] => [
          path,
          method,
          operation,
        ]),
    );
  });
  after(() => api.close());

  it('is OpenAPI 3.1: the required members, resolvable references, unique names, declared path parameters', () => {
    expect(document.openapi).to.equal('3.1.0');
    expect(document.info).to.include.keys('title', 'version');
    const ids = operations.map(([, , { operationId }]) => operationId);
    expect(new Set(ids).size, ids.join()).to.equal(ids.length);
    for (const [path, method, operation] of operations) {
      const name = `${method} ${path}`;
      expect(path, name).to.match(/^\/api\/v1\/[a-z-]+(\/([a-z-]+|\{[a-z_]+\}))*(\.json)?$/);
      const inPath = [...path.matchAll(/\{([a-z_]+)\}/g)].map((match) => match[1]);
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(
        declared.map((parameter) => parameter.name),
        name,
      ).to.have.members(inPath);
      expect(
        declared.every((parameter) => parameter.required === true),
        name,
      ).to.equal(true);
      expect(operation.summary, name).to.be.a('string');
      expect(Object.keys(operation.responses), name).to.include.members(['4XX', '5XX']);
      for (const response of Object.values(operation.responses)) {
        expect(response.$ref ?? response.description, name).to.be.a('string');
      }
    }
    for (const [, pointer] of JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g)) {
      let here = document;
      for (const step of pointer?.split('/').slice(1) ?? []) here = here?.[step];
      expect(here, pointer).to.be.an('object');
    }
  });

  it('has a JSON Schema in every place for one', () => {
    const schemas = operations.flatMap(([, , operation]) => [
      ...(operation.parameters ?? []).map(({ schema }) => schema),
      ...Object.values(operation.requestBody?.content ?? {}).map(({ schema }) => schema),
      ...Object.values(operation.responses).flatMap(({ content = {} }) =>
        Object.values(content).map(({ schema }) => schema),
      ),
    ]);
    expect(schemas.length).to.be.greaterThan(80);
    for (const schema of schemas) expect(() => Compile(schema), JSON.stringify(schema)).not.to.throw();
  });

  it('lists every route of the API, and nothing else', () => {
    const routes = api.routes
      .filter(
        ({ method, url }) => method !== 'HEAD' && url.startsWith(`${BASE}/`) && !url.endsWith('openapi.json'),
      )
      .map(({ method, url }) => `${method.toLowerCase()} ${url.replaceAll(/:([a-z_]+)/g, '{$1}')}`);
    expect(operations.map(([path, method]) => `${method} ${path}`)).to.have.members(routes);
    expect(routes).to.have.length.of.at.least(53);
  });

  it('says which calls need no token and which take an Idempotency-Key', () => {
    const open = operations.filter(([, , operation]) => 'security' in operation).map(([path]) => path);
    expect(open).to.have.members([`${BASE}/healthz`, `${BASE}/readyz`]);
    const keyed = operations
      .filter(([, , { parameters = [] }]) => parameters.some(({ name }) => name === 'Idempotency-Key'))
      .map(([path, method]) => `${method} ${path}`);
    const changing = operations
      .filter(([, method]) => method === 'post' || method === 'delete')
      .map(([path, method]) => `${method} ${path}`);
    expect(keyed).to.have.members(changing);
  });

  it('has a page that loads only what the API itself serves', async () => {
    const page = await api.call('GET', '/docs', { as: 'viewer' });
    expect(page.status).to.equal(200);
    expect(page.text).not.to.match(/(src|href)="(https?:)?\/\//);
    expect(page.headers['content-security-policy']).to.contain("script-src 'self'");
    const files = [...page.text.matchAll(/(?:src|href)="(\/docs\/[^"]+)"/g)];
    expect(files).to.have.length(7);
    for (const [, file = ''] of files) {
      expect((await api.call('GET', file, { as: 'viewer' })).status, file).to.equal(200);
    }
  });

  it('stands beside Bull Board, which shows the queues of every pool and changes none', async () => {
    const page = await api.call('GET', '/queues', { as: 'viewer' });
    expect(page.status, page.text).to.equal(200);
    expect(page.text).to.contain('Strata');
    const names = async () =>
      (await api.call('GET', '/queues/api/queues', { as: 'viewer' })).body.queues.map(
        (queue: { name: string }) => queue.name,
      );
    expect(await names()).to.have.members(['backup.default', 'maintenance.default', 'restore.default']);
    await api.call('PATCH', `repositories/${api.fleet.repositoryId}`, { body: { pool: 'fast' } });
    expect(await names()).to.include.members(['backup.fast', 'maintenance.fast', 'restore.fast']);
    const pause = await api.call('PUT', '/queues/api/queues/backup.default/pause');
    expect(pause.status, pause.text).to.equal(405);
  });
});
