import { expect } from 'chai';
import { Policy } from '../../../../src/contract/index.js';
import { fits, isProblem, openApi, type TestApi } from '../http/support.js';

describe('What a policy keeps', () => {
  let api: TestApi;
  let made = 0;

  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  const add = async (body: object): Promise<Policy> => {
    const answer = await api.call('POST', 'policies', { body: { name: `policy-${++made}`, ...body } });
    expect(answer.status, answer.text).to.equal(201);
    fits(Policy, answer.body);
    return answer.body;
  };

  it('is not nothing but noughts, in a new one or a changed one, nor a rule that is no whole number', async () => {
    const policy = await add({ keep: { last: 3 } });
    const refused: [object, string[]][] = [
      [{ last: 0 }, ['keep.last']],
      [{ last: 0, daily: 0 }, ['keep.last', 'keep.daily']],
      [{ last: -1 }, ['keep.last']],
      [{ daily: 1.5 }, ['keep.daily']],
      [{ weekly: '4' }, ['keep.weekly']],
      [{ monthly: 10_001 }, ['keep.monthly']],
      [{ monthly: 1e300 }, ['keep.monthly']],
      [{ yearly: null }, ['keep.yearly']],
      [{ lst: 3 }, ['keep.lst']],
      [{ last: 3, minutely: 3 }, ['keep.minutely']],
      [{ within: '0d' }, ['keep.within']],
      [{ within: '-3d' }, ['keep.within']],
      [{ within: '1.5d' }, ['keep.within']],
      [{ within: '3' }, ['keep.within']],
      [{ within: '' }, ['keep.within']],
      [{ within: '999999y' }, ['keep.within']],
      [[], ['keep']],
    ];
    for (const [keep, fields] of refused) {
      const calls = [
        api.call('POST', 'policies', { body: { name: 'never', keep } }),
        api.call('PATCH', `policies/${policy.id}`, { body: { keep } }),
      ];
      for (const answer of await Promise.all(calls)) {
        expect(isProblem(answer, 400, 'invalid_request'), JSON.stringify(keep)).to.deep.equal(fields);
      }
    }
    expect(await api.read(`policies/${policy.id}`, Policy)).to.deep.equal(policy);
    const { body } = await api.call('GET', 'policies?limit=500');
    expect(body.items.map(({ name }: Policy) => name)).not.to.include('never');
  });

  it('is everything without rules; a nought beside a rule is that rule switched off', async () => {
    for (const keep of [null, {}]) expect((await add({ keep })).keep).to.deep.equal(keep);
    const policy = await add({ keep: { last: 3, daily: 0 } });
    expect(policy.keep).to.deep.equal({ last: 3, daily: 0 });
    // One of before that holds nothing but noughts can be changed in all else.
    await api.fleet.suite.ds.query('UPDATE policies SET `keep` = ? WHERE id = ?', ['{"last":0}', policy.id]);
    const renamed = await api.call('PATCH', `policies/${policy.id}`, { body: { enabled: false } });
    expect([renamed.status, renamed.body.keep]).to.deep.equal([200, { last: 0 }]);
  });
});
