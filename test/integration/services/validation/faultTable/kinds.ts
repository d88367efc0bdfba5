import { chmod, copyFile, mkdtemp, rename, rm, stat, truncate, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { mapImage, serveImage } from '../../../../../src/qcow2/index.js';
import type { ChainFixture, FixtureBackup } from '../../../../helpers/chainFixture.js';
import type { Random } from '../../../../helpers/random.js';
import { runTool } from '../../../../helpers/runTool.js';
import { tablesOf } from '../deep/places.js';
import { flip, rebase, swap } from '../faultTools.js';

/** Where a fault is put. */
export interface Place {
  chain: ChainFixture;
  /** Number of the backup whose file is hit, from 1. */
  number: number;
  at(number: number): FixtureBackup;
  random: Random;
  /** For files of the test's own. */
  tempDir: string;
}

/** What a fault has left behind, where that is not only the one image. */
export interface Inflicted {
  /** Backups whose images are other files now, beside that of the place. */
  alsoHit?: number[];
  /** The images are as they were: the fault is one of a sidecar, or passes. */
  imagesIntact?: true;
  /** Ends what goes on for as long as the fault does. */
  end?(): Promise<void>;
}

export interface FaultKind {
  title: string;
  /** The check must run as a user who may not read everything. */
  asOwner?: true;
  inflict(place: Place): Promise<Inflicted>;
}

const BLOCK = 65_536;
/** Length of the header that QEMU 7.2 writes; its extensions and the backing file's name follow (docs/interop/qcow2.txt). */
const HEADER_FIELDS = 112;
/** Behind all of them. */
const PADDING_FROM = 4096;

const anyBit = async ({ random }: Place, path: string, from: number, to: number): Promise<void> =>
  flip(path, random.integer(from, to - 1), 1 << random.integer(0, 7));

/** A block of the guest's disk that the image holds, and where in the file. */
async function heldBlock({ random }: Place, image: string): Promise<{ guest: number; file: number }> {
  const ref = { type: 'file', path: image, format: 'qcow2', noBacking: true } as const;
  const blocks: { guest: number; file: number }[] = [];
  for await (const { start, length, offset, data, zero } of mapImage(ref)) {
    if (!data || zero || offset === undefined) continue;
    for (let at = 0; at < length; at += BLOCK) blocks.push({ guest: start + at, file: offset + at });
  }
  return random.pick(blocks);
}

const lengthOf = async (path: string): Promise<number> => (await stat(path)).size;

const otherThan = ({ random, number, chain }: Place): number =>
  random.pick(chain.backups.map((_, i) => i + 1).filter((other) => other !== number));

/** The faults that a repository has to survive, each at a random place of the image it is given. */
export const FAULT_KINDS: FaultKind[] = [
  {
    title: 'a bit of the data',
    inflict: async (place) => {
      const { image } = place.at(place.number);
      const { file } = await heldBlock(place, image);
      await anyBit(place, image, file, file + BLOCK);
      return {};
    },
  },
  {
    title: 'a bit of an L2 table',
    inflict: async (place) => {
      const { image } = place.at(place.number);
      const { l2 } = await tablesOf(image);
      await anyBit(place, image, l2, l2 + BLOCK);
      return {};
    },
  },
  {
    title: 'a bit of the header',
    inflict: async (place) => {
      await anyBit(place, place.at(place.number).image, 0, HEADER_FIELDS);
      return {};
    },
  },
  {
    title: 'a bit behind the header',
    inflict: async (place) => {
      await anyBit(place, place.at(place.number).image, PADDING_FROM, BLOCK);
      return {};
    },
  },
  {
    title: 'a bit of the digest index',
    inflict: async (place) => {
      const { digests } = place.at(place.number);
      await anyBit(place, digests, 0, await lengthOf(digests));
      return { imagesIntact: true };
    },
  },
  {
    title: 'a bit of the manifest',
    inflict: async (place) => {
      const { manifest } = place.at(place.number);
      await anyBit(place, manifest, 0, await lengthOf(manifest));
      return { imagesIntact: true };
    },
  },
  {
    title: 'the file is cut',
    inflict: async (place) => {
      const { image } = place.at(place.number);
      await truncate(image, place.random.integer(0, (await lengthOf(image)) - 1));
      return {};
    },
  },
  {
    title: 'the file is deleted',
    inflict: async ({ at, number }) => {
      await rm(at(number).image);
      return {};
    },
  },
  {
    title: 'two files are swapped',
    inflict: async (place) => {
      const other = otherThan(place);
      await swap(place.at(place.number).image, place.at(other).image);
      return { alsoHit: [other] };
    },
  },
  {
    title: 'an older version stands there',
    inflict: async (place) => {
      const { image } = place.at(place.number);
      const old = `${image}.old`;
      await copyFile(image, old);
      const { guest } = await heldBlock(place, image);
      await runTool('qemu-io', '-f', 'qcow2', '-c', `write -P 0x77 ${guest} ${BLOCK}`, old);
      await utimes(old, new Date('2026-01-01'), new Date('2026-01-01'));
      await rename(old, image);
      return {};
    },
  },
  {
    title: 'another backing file',
    inflict: async (place) => {
      const parent = place.at(place.number).parentId;
      const others = place.chain.backups.filter(({ id }, i) => i + 1 < place.number && id !== parent);
      const names = [...others.map(({ image }) => basename(image)), 'nowhere.qcow2'];
      await rebase(place.at(place.number).image, '-b', place.random.pick(names), '-F', 'qcow2');
      return {};
    },
  },
  {
    title: 'a loop of backing files',
    inflict: async (place) => {
      const above = place.chain.backups.slice(place.number - 1).map(({ image }) => basename(image));
      await rebase(place.at(place.number).image, '-b', place.random.pick(above), '-F', 'qcow2');
      return {};
    },
  },
  {
    title: 'permission denied',
    asOwner: true,
    inflict: async ({ at, number }) => {
      const { image } = at(number);
      await chmod(image, 0);
      return { imagesIntact: true, end: () => chmod(image, 0o640) };
    },
  },
  {
    title: 'a writer holds it open',
    inflict: async ({ at, number, tempDir }) => {
      const directory = await mkdtemp(join(tempDir, 'w-'));
      const { image } = at(number);
      const writer = await serveImage({
        path: image,
        format: 'qcow2',
        readOnly: false,
        socketPath: join(directory, 's'),
      });
      return { imagesIntact: true, end: () => writer.close() };
    },
  },
];
