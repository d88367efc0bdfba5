import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  contentId,
  contentIdOfImage,
  indexLayer,
  openGate,
  openPushExport,
} from '../../../../src/datapath/index.js';
import { connectNbd, type NbdClient } from '../../../../src/datapath/nbd/index.js';
import { createImage } from '../../../../src/qcow2/index.js';
import { createRandom, type Random } from '../../../helpers/random.js';

const SECTOR = 512;
const ROUNDS = Number(process.env.STRATA_ROUNDS ?? 4);
const signal = new AbortController().signal;

describe('The digest index of a pushed layer', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'index-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  const file = (name: string) => join(folder, name);

  /** Lets an agent write an image, and indexes it. */
  const push = async (
    name: string,
    sizes: { virtualSizeBytes: number; parentSizeBytes: number | undefined },
    parent: string | undefined,
    write: (client: NbdClient) => Promise<void>,
  ) => {
    const [image, digestPath, socketPath] = [
      file(`${name}.qcow2`),
      file(`${name}.digests`),
      file(`${name}.sock`),
    ];
    const backing =
      parent === undefined ? {} : { backing: { name: `${parent}.qcow2`, format: 'qcow2' as const } };
    await createImage(image, { virtualSizeBytes: sizes.virtualSizeBytes, ...backing });
    const serverSocket = file('s');
    const gate = await openGate({
      address: { socketPath },
      connections: 1,
      credentials: undefined,
      exportName: 'x',
      serverSocket,
      signal,
    });
    if (!gate) throw new Error('the socket is taken');
    const exported = await openPushExport(gate, { image, serverSocket, connections: 1, signal, ...sizes });
    try {
      const client = await connectNbd(`nbd+unix:///x?socket=${socketPath}`);
      await write(client);
      await client.close();
      while (!(await exported.finish()));
    } finally {
      await exported.abandon();
    }
    const job = {
      image,
      digestPath,
      backupId: name,
      scratchDir: folder,
      signal,
      overlay: parent !== undefined,
    };
    return indexLayer({ ...job, virtualSizeBytes: sizes.virtualSizeBytes });
  };

  it('holds all of a full, and of an overlay only what the agent wrote, zeroed or trimmed', async () => {
    const size = 40 * 65536;
    const full = await push(
      'full',
      { virtualSizeBytes: size, parentSizeBytes: undefined },
      undefined,
      async (client) => {
        await client.write(0, randomBytes(10 * 65536));
      },
    );
    expect(full).to.deep.include({ dataBlocks: 10, zeroBlocks: 30 });
    const sizes = { virtualSizeBytes: size, parentSizeBytes: size };
    const layer = await push('layer', sizes, 'full', async (client) => {
      await client.write(100, randomBytes(10));
      await client.writeZeroes(2 * 65536, 65536);
      await client.trim(4 * 65536, 65536);
      await client.write(6 * 65536, Buffer.alloc(65536));
      await client.write(20 * 65536, randomBytes(65536 + 1));
    });
    expect(layer).to.deep.include({ dataBlocks: 3, zeroBlocks: 3, bytesWritten: 3 * 65536 });
  });

  it('gives the content id of what the chain reads as, whatever agents do, on disks that grow', async function () {
    this.timeout(60_000);
    const random = createRandom(Number(process.env.STRATA_SEEDS?.split(',')[0] ?? 7));
    const layers: string[] = [];
    let parentSizeBytes: number | undefined;
    let parent: string | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      const name = `round-${round}`;
      const grown: number =
        (parentSizeBytes ?? 20 * 65536 + 3 * SECTOR) + random.pick([0, 1, 127, 128, 300]) * SECTOR;
      await push(name, { virtualSizeBytes: grown, parentSizeBytes }, parent, (client) =>
        scribble(client, random),
      );
      layers.unshift(file(`${name}.digests`));
      const ofIndexes = await contentId({ layers, virtualSizeBytes: grown });
      const read = { signal, scratchDir: folder };
      const image = { type: 'file', path: file(`${name}.qcow2`), format: 'qcow2' } as const;
      expect(await contentIdOfImage(image, grown, read), `seed ${random.seed}, ${name}`).to.equal(ofIndexes);
      [parent, parentSizeBytes] = [name, grown];
    }
  });
});

async function scribble(client: NbdClient, random: Random): Promise<void> {
  for (let i = random.integer(0, 12); i > 0; i--) {
    const sectors = client.sizeBytes / SECTOR;
    const first = random.integer(0, sectors - 1);
    const length = Math.min(random.pick([1, 5, 127, 128, 129, 400]), sectors - first) * SECTOR;
    const offset = first * SECTOR;
    const kind = random.integer(0, 4);
    if (kind === 0) await client.writeZeroes(offset, length);
    else if (kind === 1) await client.trim(offset, length);
    else if (kind === 2) await client.write(offset, Buffer.alloc(length));
    else await client.write(offset, randomBytes(length));
  }
}
