import { expect } from 'chai';
import { isProblem, openApi, type TestApi } from './support.js';

describe('Bodies that the API refuses or can only just take', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  const post = (body: unknown) => api.call('POST', 'backups', { body });
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
});
