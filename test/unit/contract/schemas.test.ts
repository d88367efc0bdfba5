import { expect } from 'chai';
import { Check } from 'typebox/value';
import * as contract from '../../../src/contract/index.js';

const { BackupCreate, RestoreCreate, TokenCreate, VmPut } = contract;

describe('The contract', () => {
  const schemas = Object.entries<unknown>(contract).filter(([, value]) => typeof value === 'object');

  it('refuses unknown properties in every object', () => {
    const open: string[] = [];
    const walk = (name: string, schema: unknown): void => {
      if (typeof schema !== 'object' || schema === null) return;
      const { type, properties, additionalProperties } = schema as Record<string, unknown>;
      if (type === 'object' && properties !== undefined && additionalProperties !== false) open.push(name);
      for (const [key, inner] of Object.entries(schema)) walk(`${name}.${key}`, inner);
    };
    expect(schemas.length).to.be.greaterThan(60);
    for (const [name, schema] of schemas) walk(name, schema);
    expect(open).to.deep.equal([]);
  });

  it('is plain JSON Schema: nothing is lost on its way through JSON', () => {
    for (const [name, schema] of schemas) {
      const text = JSON.stringify(schema);
      expect(text, name).not.to.match(/"~|undefined/);
    }
  });

  it('has words for every form that a text must have: callers are not shown expressions', () => {
    const bare: string[] = [];
    let formed = 0;
    const walk = (name: string, schema: unknown): void => {
      if (typeof schema !== 'object' || schema === null) return;
      const { pattern, 'x-form': form } = schema as Record<string, unknown>;
      if (typeof pattern === 'string') formed++;
      if (typeof pattern === 'string' && typeof form !== 'string') bare.push(name);
      for (const [key, inner] of Object.entries(schema)) walk(`${name}.${key}`, inner);
    };
    for (const [name, schema] of schemas) walk(name, schema);
    expect(formed).to.be.greaterThan(10);
    expect(bare).to.deep.equal([]);
  });

  it('takes the requests of the documentation', () => {
    const source = { type: 'nbd', uri: 'nbd://127.0.0.1:10809/disk', bitmap: 'b0' };
    const file = { type: 'file', path: '/srv/disk.qcow2', format: 'qcow2' };
    const extents = [{ offset: 0, length: 65_536 }];
    expect(
      Check(BackupCreate, {
        vm_name: 'web',
        repository_id: 'main',
        upstream_id: '',
        backup_type: 'incremental',
        disks: [
          {
            disk_id: 0,
            source,
            virtual_size: 512,
            change_id: 'b',
            since_change_id: 'a',
            changed_extents: extents,
          },
          { disk_id: 9999, source: file },
        ],
        on_broken_chain: 'fail',
        priority: 1000,
        tags: { 'Ticket no.': '42', ümlaut: '' },
      }),
    ).to.equal(true);
    expect(Check(BackupCreate, { vm_name: 'web', repository_id: 'main', backup_type: 'auto' })).to.equal(
      true,
    );
    expect(Check(VmPut, { vm_name: 'web', repository_id: 'main', disks: [] })).to.equal(true);
    const target = { type: 'file', path: '/srv/out.raw' };
    expect(Check(RestoreCreate, { backup_id: 'bkp_0', target, format: 'vmdk', verify: false })).to.equal(
      true,
    );
    expect(Check(TokenCreate, { name: 'ci', role: 'operator', expires_at: '2030-01-01T00:00:00Z' })).to.equal(
      true,
    );
  });

  it('refuses instants and ids of another form', () => {
    for (const expires_at of ['tomorrow', '2030-01-01', '2030-13-01T00:00:00Z', 5, '']) {
      expect(Check(TokenCreate, { name: 'ci', role: 'viewer', expires_at }), String(expires_at)).to.equal(
        false,
      );
    }
    const restore = (backup_id: string) => ({
      backup_id,
      target: { type: 'file', path: '/a' },
      format: 'raw',
    });
    for (const id of ['', 'bkp_', 'rst_0', 'bkp_0 ', 'bkp_0\n', 'BKP_0', `bkp_${'0'.repeat(59)}`, "bkp_'"]) {
      expect(Check(RestoreCreate, restore(id)), id).to.equal(false);
    }
  });
});
