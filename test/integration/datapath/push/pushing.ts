import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Gate,
  type GateAddress,
  type GateCredentials,
  openGate,
  openPushExport,
  type PushExport,
} from '../../../../src/datapath/index.js';
import { createImage } from '../../../../src/qcow2/index.js';
import { freePort } from '../../../helpers/freePort.js';
import { runTool } from '../../../helpers/runTool.js';

export const MIB = 1024 * 1024;
export const NAME = 'secret-name';

/** Opens gates before new images, one at a time; `disk.raw` in its folder has 2 MiB of random content. */
export interface Pushing {
  folder: string;
  port: number;
  file(name: string): string;
  uri(name?: string, scheme?: string): string;
  /** Opens a gate and the export behind it; gives the image's path. */
  open(options?: {
    credentials?: GateCredentials;
    connections?: number;
    address?: GateAddress;
    /** Bytes per second that agents may send. */
    rate?: number;
  }): Promise<string>;
  exported(): PushExport | undefined;
  /** How many were opened: the server's socket is `<count>.sock`. */
  count(): number;
  /** Finishes the export as soon as nobody is inside. */
  finished(): Promise<void>;
  /** Hashes of what an image reads as, and of `disk.raw`. */
  rawOf(image: string): Promise<string>;
  diskHash(): Promise<string>;
  reset(): Promise<void>;
  close(): Promise<void>;
}

const FINISH_MS = 5000;

export async function openPushing(): Promise<Pushing> {
  const folder = await mkdtemp(join(tmpdir(), 'gate-'));
  const file = (name: string) => join(folder, name);
  await writeFile(file('disk.raw'), randomBytes(2 * MIB));
  const port = await freePort();
  let count = 0;
  let gate: Gate | undefined;
  let exported: PushExport | undefined;
  const hashOf = async (name: string) =>
    createHash('sha256')
      .update(await readFile(file(name)))
      .digest('hex');
  const reset = async () => {
    await exported?.abandon();
    await gate?.close();
  };
  return {
    folder,
    port,
    file,
    uri: (name = NAME, scheme = 'nbd') => `${scheme}://127.0.0.1:${port}/${name}`,
    open: async ({ credentials, connections = 4, address = { host: '127.0.0.1', port }, rate } = {}) => {
      const image = file(`image-${++count}.qcow2`);
      await createImage(image, { virtualSizeBytes: 2 * MIB });
      const serverSocket = file(`${count}.sock`);
      const { signal } = new AbortController();
      const limit = rate === undefined ? {} : { rate: () => rate };
      const terms = { credentials, exportName: NAME, serverSocket, signal };
      gate = await openGate({ address, connections, ...terms, ...limit });
      if (!gate) throw new Error('The port is taken.');
      const sizes = { virtualSizeBytes: 2 * MIB, parentSizeBytes: undefined };
      exported = await openPushExport(gate, { image, serverSocket, connections, signal, ...sizes });
      return image;
    },
    exported: () => exported,
    count: () => count,
    finished: async () => {
      const end = performance.now() + FINISH_MS;
      while (!(await exported?.finish())) {
        if (performance.now() > end) throw new Error('Somebody stays inside.');
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    rawOf: async (image) => {
      await runTool('qemu-img', 'convert', '-O', 'raw', image, file('out.raw'));
      return hashOf('out.raw');
    },
    diskHash: () => hashOf('disk.raw'),
    reset,
    close: async () => {
      await reset();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
