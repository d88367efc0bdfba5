import { expect } from 'chai';
import { type Answer, isProblem, openApi, type TestApi } from './support.js';

describe('Bodies that the API refuses or can only just take', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  const post = (body: unknown, path = 'backups') => api.call('POST', path, { body });
  const backup = (more: object = {}) => ({
    vm_name: 'a',
    repository_id: 'main',
    backup_type: 'full',
    ...more,
  });

  it('answers broken JSON, other media types and bodies that are too large as problems', async () => {
    for (const raw of ['{', '{"a":1}}', "{'a':1}", '\u0000', 'NaN', '{"__proto__":{"x":1}}', '']) {
      isProblem(await api.call('POST', 'backups', { raw }), 400, 'invalid_request');
    }
    const text = { headers: { 'content-type': 'text/plain' }, raw: '{}' };
    isProblem(await api.call('POST', 'backups', text), 415, 'unsupported_media_type');
    const big = JSON.stringify({ pad: ' '.repeat(2 << 20) });
    isProblem(await api.call('PUT', 'vms', { raw: big }), 413, 'body_too_large');
    const huge = JSON.stringify({ pad: ' '.repeat(17 << 20) });
    isProblem(await api.call('POST', 'backups', { raw: huge }), 413, 'body_too_large');
  });

  it('takes an empty body that is called JSON for none', async () => {
    const json = { 'content-type': 'application/json' };
    const send = (method: 'DELETE' | 'POST' | 'GET', path: string) =>
      api.call(method, path, { raw: '', headers: json });
    isProblem(await send('DELETE', 'backups/bkp_0'), 404, 'not_found');
    isProblem(await send('DELETE', 'policies/pol_0'), 404, 'not_found');
    isProblem(await send('POST', 'backups/bkp_0/cancel'), 404, 'not_found');
    expect((await send('GET', 'backups')).status).to.equal(200);
    const { body } = await api.call('POST', 'policies', { body: { name: 'short-lived' } });
    expect((await send('DELETE', `policies/${body.id}`)).status).to.equal(204);
    // Where a body is needed it is missing, as without a media type.
    expect(isProblem(await send('POST', 'policies'), 400, 'invalid_request')).to.deep.equal(['']);
  });

  it('never takes a word that would do nothing, and says which one it is', async () => {
    const file = { type: 'file', path: `${api.fleet.sources}/d.raw`, format: 'raw' };
    const nbd = { type: 'nbd', uri: 'nbd://127.0.0.1/x', bitmap: 'b0' };
    const extents = [{ offset: 0, length: 512 }];
    const full = (disk: object) => backup({ disks: [{ disk_id: 0, source: file, ...disk }] });
    const incremental = (disk: object) => ({ ...full(disk), backup_type: 'incremental' });
    for (const [body, field] of [
      [full({ extents_follow: true }), 'disks[0].extents_follow'],
      [incremental({ since_change_id: 'a' }), 'disks[0].since_change_id'],
      [
        incremental({ source: nbd, since_change_id: 'a', changed_extents: extents }),
        'disks[0].source.bitmap',
      ],
      [incremental({ source: nbd, since_change_id: 'a', extents_follow: true }), 'disks[0].source.bitmap'],
      [{ ...full({}), on_broken_chain: 'fail' }, 'on_broken_chain'],
      [{ ...full({}), full_every: 7 }, 'full_every'],
    ] as const)
      expect(isProblem(await post(body), 400, 'invalid_request'), field).to.deep.equal([field]);
    const policy = { name: 'jitter', jitter_seconds: 60 };
    expect(isProblem(await post(policy, 'policies'), 400, 'invalid_request')).to.deep.equal([
      'jitter_seconds',
    ]);
  });

  it('reads a change list of 200,000 extents, and refuses one more', async () => {
    const list = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ offset: i * 131_072, length: 65_536 }));
    const source = { type: 'file', path: `${api.fleet.sources}/d.raw`, format: 'raw' };
    const body = (count: number) => ({
      ...backup(),
      backup_type: 'incremental',
      disks: [{ disk_id: 0, source, since_change_id: 'a', changed_extents: list(count) }],
    });
    const accepted = await post(body(200_000));
    expect(accepted.status, accepted.text.slice(0, 500)).to.equal(202);
    expect(isProblem(await post(body(200_001)), 400, 'invalid_request')).to.deep.equal([
      'disks[0].changed_extents',
    ]);
  });

  it('refuses a body that is nested a million deep', async () => {
    const deep = (open: string, close: string) => open.repeat(1_000_000) + close.repeat(1_000_000);
    for (const inner of [deep('[', ']'), deep('{"a":', '}').replace(':}', ':1}')]) {
      const raw = `{"vm_name":"a","repository_id":"main","backup_type":"full","disks":${inner}}`;
      isProblem(await api.call('POST', 'backups', { raw }), 400, 'invalid_request');
    }
  });

  it('explains a hostile body without being kept busy by it', async () => {
    const many = Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [`k${i}`, 'v']));
    const bad = Array.from({ length: 200_000 }, () => ({ offset: 'x' }));
    const bodies: [unknown, string][] = [
      [many, 'vm_name'],
      [backup({ tags: many }), 'tags'],
      [backup({ disks: [{ disk_id: 0, ...many }] }), 'disks[0].k0'],
      [backup({ disks: [{ disk_id: 0, source: many }] }), 'disks[0].source.type'],
      [backup({ disks: [{ disk_id: 0, changed_extents: bad }] }), 'disks[0].changed_extents[0].length'],
      [backup({ disks: Array.from({ length: 256 }, () => ({})) }), 'disks[0].disk_id'],
      [backup({ disks: Array.from({ length: 300 }, () => ({ disk_id: 1 })) }), 'disks'],
    ];
    for (const [body, field] of bodies) {
      const text = JSON.stringify(body);
      const begun = performance.now();
      JSON.parse(text);
      const parsed = performance.now();
      const fields = isProblem(await api.call('POST', 'backups', { raw: text }), 400, 'invalid_request');
      // Parsing cannot be avoided; TypeBox alone takes 10 to 60 times as long as that.
      expect((performance.now() - parsed) / (parsed - begun + 200), field).to.be.lessThan(8);
      expect(fields, field).to.include(field);
      expect(fields.length, field).to.be.at.most(20);
    }
  });

  it('says in words what form a text has to have, and never shows an expression', async () => {
    const cases: [Promise<Answer>, RegExp][] = [
      [api.call('DELETE', 'backups/nope'), /^must be the id of a backup \(bkp_\.\.\.\)$/],
      [api.call('DELETE', 'restore-points/bkp_0'), /^must be the id of a restore point \(rp_\.\.\.\)$/],
      [api.call('GET', 'jobs/nope'), /^must be the id of a job \(bkp_\.\.\., mnt_\.\.\., rst_\.\.\.\)$/],
      [api.call('GET', 'vms/a%20b'), /^must be the id of a VM: /],
      [post(backup({ upstream_id: 'x ' })), /^must be one line without a blank at its end$/],
      [post({ name: 'p', keep: { within: '3 days' } }, 'policies'), /^must be a duration such as 36h, /],
      [post({ keep: ['nope'] }, 'chains/chn_0/consolidate'), /^must be the id of a backup/],
      [
        post({ name: 'w', url: 'http://a.test/', secret: 'blanks are in here' }, 'webhooks'),
        /^must be printable/,
      ],
    ];
    for (const [call, message] of cases) {
      const answer = await call;
      isProblem(answer, 400, 'invalid_request');
      expect(answer.body.errors[0].message).to.match(message);
      expect(answer.text).not.to.match(/pattern|\^/);
    }
  });
});
