import { expect } from 'chai';
import { type Answer, BASE, isProblem, openApi, type TestApi } from './support.js';

type Method = Parameters<TestApi['call']>[0];

describe('A query parameter that a route does not know', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());
  const changing = () =>
    api.routes.filter(({ method, url }) => url.startsWith(BASE) && !['GET', 'HEAD'].includes(method));

  it('is refused by every route that changes something, and named', async () => {
    const routes = changing();
    expect(routes.length).to.be.above(30);
    for (const { method, url } of routes) {
      const path = url.replaceAll(/:\w+/g, 'any');
      const answer: Answer = await api.call(method as Method, `${path}?dry_rum=true`);
      expect(isProblem(answer, 400, 'invalid_request'), `${method} ${url}`).to.deep.equal(['dry_rum']);
    }
  });

  it('does not let a deletion pass that was meant as a dry run', async () => {
    const body = { name: 'kept', schedule: '0 3 * * *' };
    const { id } = (await api.call('POST', 'policies', { body })).body;
    isProblem(await api.call('DELETE', `policies/${id}?dry_run`), 400, 'invalid_request');
    expect((await api.call('GET', `policies/${id}`)).status).to.equal(200);
    expect((await api.call('DELETE', `policies/${id}`)).status).to.equal(204);
  });

  it('is told to nobody who may not call the route', async () => {
    const [route] = changing();
    const path = `${route?.url.replaceAll(/:\w+/g, 'any')}?dry_rum=true`;
    isProblem(await api.call(route?.method as Method, path, { as: 'nobody' }), 401, 'unauthorized');
  });
});
