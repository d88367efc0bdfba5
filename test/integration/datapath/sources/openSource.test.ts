import { mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openSource, type SourceSpec } from '../../../../src/datapath/index.js';
import { StrataError } from '../../../../src/shared/errors.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { startQemuNbd, startNbdkit } from '../../../helpers/nbdServers.js';
import { inWorkshop, tool, type Workshop, writeRaw } from '../disks.js';

const MIB = 1024 * 1024;

interface Refusal {
  code: string;
  field: string | undefined;
  message: string;
}

/** Opens and closes a source with the folder `root` of the workshop allowed; tells why it was refused. */
async function refusal(
  shop: Workshop,
  spec: SourceSpec,
  nbdAllow: string[] = [],
): Promise<Refusal | undefined> {
  const policy = { roots: [shop.path('root')], nbdAllow, scratchDir: shop.scratchDir };
  try {
    const source = await openSource(spec, policy);
    await source.close();
    return undefined;
  } catch (error) {
    if (!(error instanceof StrataError)) throw error;
    return { code: error.code, field: error.fields[0]?.field, message: error.message };
  }
}

const inRoot = <T>(work: (shop: Workshop) => Promise<T>) =>
  inWorkshop(async (shop) => {
    await mkdir(shop.path('root'));
    return work(shop);
  });

describe('A file source', () => {
  it('outside of the roots is refused, and looks the same whether it exists or not', () =>
    inRoot(async (shop) => {
      await writeRaw(shop.path('outside.raw'), MIB, []);
      await mkdir(shop.path('root-beside'));
      await writeRaw(shop.path('root-beside/disk.raw'), MIB, []);
      await symlink(shop.path('outside.raw'), shop.path('root/link'));
      await symlink(shop.path('absent.raw'), shop.path('root/dangling'));
      const paths = [
        shop.path('outside.raw'),
        shop.path('absent.raw'),
        shop.path('root-beside/disk.raw'),
        shop.path('root/../outside.raw'),
        shop.path('root/link'),
        shop.path('root/dangling'),
        'root/disk.raw',
        `${shop.path('root')}/disk\0.raw`,
      ];
      const refusals = await Promise.all(
        paths.map((path) => refusal(shop, { type: 'file', path, format: 'raw' })),
      );
      for (const [index, one] of refusals.entries()) {
        expect(one, paths[index]).to.deep.include({ code: 'path_not_allowed', field: 'source.path' });
        expect(one?.message).to.equal(refusals[0]?.message);
      }
    }));

  it('that is missing under a root, or is no file, is said to be missing', () =>
    inRoot(async (shop) => {
      for (const path of [shop.path('root/absent.raw'), shop.path('root')]) {
        const one = await refusal(shop, { type: 'file', path, format: 'raw' });
        expect(one).to.deep.include({ code: 'source_missing', field: 'source.path' });
      }
    }));

  it('must have a format that is stated, known, and its own', () =>
    inRoot(async (shop) => {
      const path = shop.path('root/disk.raw');
      await writeRaw(path, MIB, []);
      for (const format of ['', 'qcow', 'RAW', 'luks', 'host_device']) {
        // The catalogue may hold what no type allows.
        const one = await refusal(shop, { type: 'file', path, format } as SourceSpec);
        expect(one).to.deep.include({ code: 'unknown_format', field: 'source.format' });
      }
      const other = await refusal(shop, { type: 'file', path, format: 'qcow2' });
      expect(other).to.deep.include({ code: 'unknown_format', field: 'source.format' });
      expect(await refusal(shop, { type: 'file', path, format: 'raw' })).to.equal(undefined);
    }));

  it('of a size that is no multiple of 512, or empty, is refused', () =>
    inRoot(async (shop) => {
      const path = shop.path('root/disk.raw');
      await writeFile(path, 'x');
      for (const size of [0, 1000, MIB + 1]) {
        await truncate(path, size);
        const one = await refusal(shop, { type: 'file', path, format: 'raw' });
        expect(one).to.deep.include({ code: 'size_not_aligned', field: 'source.path' });
      }
    }));

  it('that refers to another file is refused, also by the extents of a VMDK behind a link', () =>
    inRoot(async (shop) => {
      await writeRaw(shop.path('root/base.raw'), MIB, []);
      const overlay = shop.path('root/overlay.qcow2');
      await tool(
        'qemu-img',
        'create',
        '-q',
        '-f',
        'qcow2',
        '-b',
        shop.path('root/base.raw'),
        '-F',
        'raw',
        overlay,
      );
      const backed = await refusal(shop, { type: 'file', path: overlay, format: 'qcow2' });
      expect(backed).to.deep.include({ code: 'source_references_other_file', field: 'source.path' });

      const vmdk = shop.path('root/disk.vmdk');
      await tool('qemu-img', 'create', '-q', '-f', 'vmdk', '-o', 'subformat=monolithicFlat', vmdk, '1M');
      expect(await refusal(shop, { type: 'file', path: vmdk, format: 'vmdk' })).to.equal(undefined);
      await rename(shop.path('root/disk-flat.vmdk'), shop.path('stolen.raw'));
      await symlink(shop.path('stolen.raw'), shop.path('root/disk-flat.vmdk'));
      const linked = await refusal(shop, { type: 'file', path: vmdk, format: 'vmdk' });
      expect(linked).to.deep.include({ code: 'path_not_allowed', field: 'source.path' });
    }));
});

describe('A raw file source that is exchanged after its inspection', () => {
  const exchanges: Record<string, (path: string, other: string) => Promise<void>> = {
    'by another file': (path, other) => rename(other, path),
    'by a symbolic link to a file elsewhere': async (path, other) => {
      await rm(path);
      await symlink(other, path);
    },
    'by nothing': (path) => rm(path),
  };
  for (const [how, exchange] of Object.entries(exchanges)) {
    it(`${how} is refused as source_changed, and not read`, () =>
      inRoot(async (shop) => {
        const path = shop.path('root/disk.raw');
        await writeRaw(path, MIB, []);
        await writeRaw(shop.path('other.raw'), MIB, []);
        const policy = { roots: [shop.path('root')], nbdAllow: [], scratchDir: shop.scratchDir };
        const source = await openSource({ type: 'file', path, format: 'raw' }, policy);
        try {
          await source.connect();
          await source.release();
          await exchange(path, shop.path('other.raw'));
          expect(await codeOf(source.connect())).to.equal('source_changed');
        } finally {
          await source.close();
        }
      }));
  }
});

describe('An NBD source', () => {
  it('is read only when its socket lies under a root or is allowed', () =>
    inRoot(async (shop) => {
      await writeRaw(shop.path('disk.raw'), MIB, []);
      const server = await startQemuNbd(shop.path('disk.raw'), '-f', 'raw', '-r');
      try {
        const spec: SourceSpec = { type: 'nbd', uri: server.uri() };
        expect(await refusal(shop, spec)).to.deep.include({ code: 'nbd_not_allowed', field: 'source.uri' });
        expect(await refusal(shop, spec, [server.socketPath])).to.equal(undefined);
        expect(await refusal(shop, spec, [join(server.socketPath, '..')])).to.equal(undefined);
        const elsewhere: SourceSpec = { type: 'nbd', uri: 'nbd+unix:///?socket=/nowhere/socket' };
        expect(await refusal(shop, elsewhere, [server.socketPath])).to.deep.include({
          code: 'nbd_not_allowed',
        });
      } finally {
        await server.stop();
      }
    }));

  it('with a bad URI or an odd size is refused with the field', () =>
    inRoot(async (shop) => {
      expect(await refusal(shop, { type: 'nbd', uri: 'http://x' })).to.deep.include({
        code: 'invalid_request',
        field: 'source.uri',
      });
      expect(await refusal(shop, { type: 'nbd', uri: 'nbd://192.0.2.1/' })).to.deep.include({
        code: 'nbd_not_allowed',
        field: 'source.uri',
      });
      const server = await startNbdkit('pattern', '1000');
      try {
        const spec: SourceSpec = { type: 'nbd', uri: server.uri() };
        const odd = await refusal(shop, spec, [server.socketPath]);
        expect(odd).to.deep.include({ code: 'size_not_aligned', field: 'source.uri' });
      } finally {
        await server.stop();
      }
    }));
});

describe('The bitmap of a file source', () => {
  it('that the image does not have is bitmap_missing', () =>
    inRoot(async (shop) => {
      const path = shop.path('root/disk.qcow2');
      await tool('qemu-img', 'create', '-q', '-f', 'qcow2', path, '1M');
      const policy = { roots: [shop.path('root')], nbdAllow: [], scratchDir: shop.scratchDir };
      const source = await openSource({ type: 'file', path, format: 'qcow2' }, policy);
      try {
        await source.changed('none')[Symbol.asyncIterator]().next();
        expect.fail('There is no such bitmap.');
      } catch (error) {
        if (!(error instanceof StrataError)) throw error;
        expect(error.code).to.equal('bitmap_missing');
        expect(error.fields[0]?.field).to.equal('source.bitmap');
      } finally {
        await source.close();
      }
    }));
});
