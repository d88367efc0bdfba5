import { stat, symlink, truncate } from 'node:fs/promises';
import { expect } from 'chai';
import { openSource, type SourceSpec } from '../../../../src/datapath/index.js';
import { findSandbox } from '../../../../src/qcow2/index.js';
import type { StrataError } from '../../../../src/shared/errors.js';
import { inWorkshop, tool, type Workshop } from '../disks.js';

describe('A file source of more than 64 TiB', () => {
  it('is refused before anything walks over it, in a file of 200 KB too', () =>
    inWorkshop(async (shop) => {
      const policy = { roots: [shop.dir], nbdAllow: [], scratchDir: shop.scratchDir };
      const code = async (size: string) => {
        await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=2M', shop.path('d'), size);
        return openSource({ type: 'file', path: shop.path('d'), format: 'qcow2' }, policy).then(
          async (source) => {
            await source.close();
            return source.sizeBytes;
          },
          (error: StrataError) => `${error.code} ${error.fields[0]?.field}`,
        );
      };
      expect(await code('64T')).to.equal(64 * 1024 ** 4);
      expect(await code('65T')).to.equal('source_too_large source.path');
    }));
});

describe('A file source whose end is missing', () => {
  for (const boxed of [true, false]) {
    it(`is refused at its field, with the file that was cut, ${boxed ? 'in' : 'without'} a sandbox`, () =>
      inWorkshop(async (shop) => {
        const sandbox = boxed ? (await findSandbox(shop.dir)).sandbox : undefined;
        const policy = {
          roots: [shop.dir],
          nbdAllow: [],
          scratchDir: shop.scratchDir,
          ...(sandbox ? { sandbox } : {}),
        };
        const open = async (path: string, format: string) => {
          const source = await openSource({ type: 'file', path, format } as SourceSpec, policy);
          await source.close();
        };
        for (const [format, name, body] of await makeImages(shop)) {
          await open(shop.path(name), format);
          const { size } = await stat(shop.path(body));
          await truncate(shop.path(body), size - 65536);
          const error = await open(shop.path(name), format).then(
            () => undefined,
            (caught: unknown) => caught as StrataError,
          );
          expect(error?.code, name).to.equal('source_truncated');
          expect(error?.fields[0]?.field).to.equal('source.path');
          expect(error?.message).to.contain(shop.path(body));
        }
      }));
  }

  /** Format, name of the image, and name of the file with the end of its data. */
  async function makeImages(shop: Workshop): Promise<[string, string, string][]> {
    const write = (format: string, name: string, at: string) =>
      tool('qemu-io', '-f', format, '-c', `write -P 7 ${at} 1M`, shop.path(name));
    const create = (format: string, name: string, ...more: string[]) =>
      tool('qemu-img', 'create', '-q', '-f', format, ...more, shop.path(name), '3G');
    await create('qcow2', 'a.qcow2');
    await write('qcow2', 'a.qcow2', '1G');
    await create('vdi', 'b.vdi');
    await write('vdi', 'b.vdi', '1G');
    await create('vmdk', 'c.vmdk', '-o', 'subformat=twoGbMaxExtentSparse');
    await write('vmdk', 'c.vmdk', '2G');
    await create('vmdk', 'd.vmdk', '-o', 'subformat=twoGbMaxExtentFlat');
    // An extent that is a link below the same root is read through it.
    await tool('mv', shop.path('d-f002.vmdk'), shop.path('elsewhere.raw'));
    await symlink(shop.path('elsewhere.raw'), shop.path('d-f002.vmdk'));
    return [
      ['qcow2', 'a.qcow2', 'a.qcow2'],
      ['vdi', 'b.vdi', 'b.vdi'],
      ['vmdk', 'c.vmdk', 'c-s002.vmdk'],
      ['vmdk', 'd.vmdk', 'elsewhere.raw'],
    ];
  }
});
