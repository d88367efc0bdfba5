import { open } from 'node:fs/promises';
import { openSource, type OpenSource } from '../../../../src/datapath/index.js';
import type { ImageFormat } from '../../../../src/qcow2/index.js';
import { StrataError } from '../../../../src/shared/errors.js';
import { tool, type Workshop, writeRaw } from '../disks.js';

const MIB = 1024 ** 2;

type FileSpec = Extract<Parameters<typeof openSource>[0], { type: 'file' }>;

export async function failureOf(work: Promise<unknown>): Promise<StrataError> {
  const result = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (result instanceof StrataError) return result;
  throw new Error('It did not fail as it should.', { cause: result });
}

export function openFile(shop: Workshop, path: string, more: Partial<FileSpec> = {}): Promise<OpenSource> {
  const policy = { roots: [shop.dir, '/dev'], nbdAllow: [], scratchDir: shop.scratchDir };
  return openSource({ type: 'file', path, format: 'raw', ...more }, policy);
}

export async function held(
  shop: Workshop,
  path: string,
  work: (source: OpenSource) => Promise<void>,
  more = {},
) {
  const source = await openFile(shop, path, more);
  try {
    await work(source);
  } finally {
    await source.close();
  }
}

export async function disk(
  shop: Workshop,
  format: ImageFormat = 'raw',
  name = `disk.${format}`,
): Promise<string> {
  const path = shop.path(name);
  if (format === 'raw') await writeRaw(path, 4 * MIB, [{ offset: 0, length: MIB }]);
  else await tool('qemu-img', 'create', '-q', '-f', format, path, String(4 * MIB));
  return path;
}

export async function writeAt(path: string, offset = MIB): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(512, 0xab), 0, 512, offset);
  await file.close();
}
