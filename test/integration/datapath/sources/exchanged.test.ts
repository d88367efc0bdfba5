import { chmod, chown, copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { copyFull, openSource, type OpenSource, type SourcePolicy } from '../../../../src/datapath/index.js';
import { findSandbox, type ImageFormat, type Sandbox } from '../../../../src/qcow2/index.js';
import { asStrataError } from '../../../../src/shared/errors.js';
import { startSwapper } from '../../../helpers/swapper.js';
import { inWorkshop, layerJob, tool, type Workshop } from '../disks.js';

const MIB = 1024 * 1024;
const SECRET = Buffer.from('not of this disk');
const ROUNDS = 10;

/** What may be said of a source that is exchanged all the time; nothing of it accuses the machine or the repository. */
const REFUSALS = [
  'source_changed',
  'source_missing',
  'path_not_allowed',
  'source_in_use',
  'size_not_aligned',
];

interface Victim {
  format: ImageFormat;
  /** Makes the image below `root/vm`. @returns its path, and which name below root is exchanged */
  make(shop: Workshop): Promise<{ path: string; exchanged: string }>;
}

const vmdk = (subformat: string, extent: string): Victim => ({
  format: 'vmdk',
  make: async (shop) => {
    await convert(shop, 'vmdk', 'disk.vmdk', subformat);
    return { path: shop.path('root/vm/disk.vmdk'), exchanged: `vm/${extent}` };
  },
});

const VICTIMS: Record<string, Victim> = {
  'a raw file': {
    format: 'raw',
    make: async (shop) => {
      await copyFile(shop.path('disk.raw'), shop.path('root/vm/disk.raw'));
      return { path: shop.path('root/vm/disk.raw'), exchanged: 'vm/disk.raw' };
    },
  },
  'a directory of the path': {
    format: 'raw',
    make: async (shop) => {
      await copyFile(shop.path('disk.raw'), shop.path('root/vm/disk.raw'));
      return { path: shop.path('root/vm/disk.raw'), exchanged: 'vm' };
    },
  },
  'a QCOW2 file': {
    format: 'qcow2',
    make: async (shop) => {
      await convert(shop, 'qcow2', 'disk.qcow2');
      return { path: shop.path('root/vm/disk.qcow2'), exchanged: 'vm/disk.qcow2' };
    },
  },
  'an extent of a VMDK': vmdk('monolithicFlat', 'disk-flat.vmdk'),
  'a directory of the path of a VMDK': vmdk('twoGbMaxExtentFlat', ''),
};

async function convert(shop: Workshop, format: string, name: string, subformat?: string): Promise<void> {
  const options = subformat === undefined ? [] : ['-o', `subformat=${subformat}`];
  await tool(
    'qemu-img',
    'convert',
    '-O',
    format,
    ...options,
    shop.path('disk.raw'),
    shop.path(`root/vm/${name}`),
  );
}

/** A disk full of itself, and beside the root what must never be read: the same files, full of a secret. */
async function inHouse<T>(victim: Victim, work: (shop: Workshop, path: string) => Promise<T>): Promise<T> {
  return inWorkshop(async (shop) => {
    await mkdir(shop.path('root/vm'), { recursive: true });
    await writeFile(shop.path('disk.raw'), Buffer.alloc(MIB, 'the disk itself.'));
    const { path, exchanged } = await victim.make(shop);
    await mkdir(shop.path('outside'));
    for (const name of await readdir(shop.path('root/vm'))) {
      const bytes = await readFile(shop.path(`root/vm/${name}`));
      const secret =
        victim.format === 'vmdk' && !name.includes('-f') ? bytes : await stolen(shop, victim, bytes);
      await writeFile(shop.path(`outside/${name}`), secret);
    }
    const name = exchanged.replace(/\/$/, '');
    const target = name === 'vm' ? shop.path('outside') : shop.path(`outside/${name.slice(3)}`);
    await symlink(target, shop.path('root/link'));
    const swapper = await startSwapper(shop.path(`root/${name}`), shop.path('root/link'));
    try {
      return await work(shop, path);
    } finally {
      await swapper.stop();
    }
  });
}

async function stolen(shop: Workshop, { format }: Victim, bytes: Buffer): Promise<Buffer> {
  const plain = Buffer.alloc(format === 'qcow2' ? MIB : bytes.length, SECRET);
  if (format !== 'qcow2') return plain;
  await writeFile(shop.path('secret.raw'), plain);
  await tool('qemu-img', 'convert', '-O', 'qcow2', shop.path('secret.raw'), shop.path('secret.qcow2'));
  return readFile(shop.path('secret.qcow2'));
}

/** Backs a source up, and gives what the backup holds, or the code of the refusal. */
async function backUp(shop: Workshop, path: string, format: ImageFormat, sandbox?: Sandbox) {
  const roots = [shop.path('root')];
  const policy: SourcePolicy = {
    roots,
    nbdAllow: [],
    scratchDir: shop.scratchDir,
    ...(sandbox ? { sandbox } : {}),
  };
  let source: OpenSource | undefined;
  try {
    source = await openSource({ type: 'file', path, format }, policy);
    await copyFull({ ...layerJob(shop, source, 'full'), target: shop.path('full.qcow2') });
    await tool('qemu-img', 'convert', '-O', 'raw', shop.path('full.qcow2'), shop.path('restored.raw'));
    return await readFile(shop.path('restored.raw'));
  } catch (error) {
    return asStrataError(error).code;
  } finally {
    await source?.close();
    for (const name of ['full.qcow2', 'full.digests', 'restored.raw'])
      await rm(shop.path(name), { force: true });
  }
}

describe('A source that is exchanged for a link to a file outside of the roots, all the time', () => {
  let sandbox: Sandbox | undefined;
  before(async () => {
    await inWorkshop(async ({ scratchDir }) => {
      ({ sandbox } = await findSandbox(scratchDir));
    });
  });

  for (const [what, victim] of Object.entries(VICTIMS)) {
    for (const confined of victim.format === 'raw' ? [false] : [false, true]) {
      const where = confined ? ' and read in the sandbox' : '';
      it(`never brings that file into a backup: ${what} exchanged${where}`, async function () {
        if (confined && !sandbox) this.skip();
        const disk = Buffer.alloc(MIB, 'the disk itself.');
        await inHouse(victim, async (shop, path) => {
          for (let round = 0; round < ROUNDS; round++) {
            const got = await backUp(shop, path, victim.format, confined ? sandbox : undefined);
            if (typeof got === 'string') expect(got).to.be.oneOf(REFUSALS);
            else expect(got.equals(disk), 'the backup is of the disk, all of it').to.equal(true);
          }
        });
      });
    }
  }
});

describe('A source that only its owner may read', () => {
  const FORMATS: [ImageFormat, string?][] = [
    ['qcow2'],
    ['vdi'],
    ['vhdx'],
    ['vpc', 'fixed'],
    ['vmdk'],
    ['vmdk', 'monolithicFlat'],
    ['vmdk', 'twoGbMaxExtentSparse'],
  ];
  for (const [format, subformat] of FORMATS) {
    it(`is read right in the sandbox: ${format} ${subformat ?? ''}`, () =>
      inWorkshop(async (shop) => {
        const { sandbox } = await findSandbox(shop.scratchDir);
        await mkdir(shop.path('root/vm'), { recursive: true });
        const disk = Buffer.alloc(MIB, 'the disk itself.');
        await writeFile(shop.path('disk.raw'), disk);
        await convert(shop, format, 'disk', subformat);
        const directory = shop.path('root/vm');
        for (const name of await readdir(directory)) {
          if (process.getuid?.() === 0) await chown(join(directory, name), 4321, 4321);
          await chmod(join(directory, name), 0o600);
        }
        const got = await backUp(shop, join(directory, 'disk'), format, sandbox);
        expect(typeof got === 'string' ? got : got.subarray(0, MIB).equals(disk)).to.equal(true);
      }));
  }
});
