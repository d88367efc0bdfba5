import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { contentId, contentIdOfImage, openSource, type SourceSpec } from '../../../src/datapath/index.js';
import type { OpenSource } from '../../../src/datapath/index.js';

const run = promisify(execFile);

/** Runs a tool to its end; rejects when it fails. */
export async function tool(file: string, ...args: string[]): Promise<string> {
  return (await run(file, args)).stdout;
}

/** A folder of a test, with a scratch folder for sockets in it. */
export interface Workshop {
  dir: string;
  scratchDir: string;
  path(name: string): string;
}

/** Gives the test a folder, and fails it if a socket is left in the scratch folder. */
export async function inWorkshop<T>(work: (shop: Workshop) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'strata-dp-'));
  const scratchDir = await mkdtemp(join(tmpdir(), 'strata-s-'));
  await chmod(scratchDir, 0o700);
  try {
    const result = await work({ dir, scratchDir, path: (name) => join(dir, name) });
    expect(await readdir(scratchDir), 'sockets left behind').to.deep.equal([]);
    return result;
  } finally {
    await rm(dir, { recursive: true });
    await rm(scratchDir, { recursive: true });
  }
}

/** A write to a raw disk: random bytes, or zeros. */
export interface Write {
  offset: number;
  length: number;
  zero?: boolean;
}

/** Creates or grows a sparse raw disk, and writes to it. */
export async function writeRaw(path: string, sizeBytes: number, writes: readonly Write[]): Promise<void> {
  const file = await open(path, 'a').then((created) => created.close().then(() => open(path, 'r+')));
  try {
    await file.truncate(sizeBytes);
    for (const { offset, length, zero } of writes) {
      await file.write(zero ? Buffer.alloc(length) : randomBytes(length), 0, length, offset);
    }
  } finally {
    await file.close();
  }
}

export function openIn(shop: Workshop, spec: SourceSpec, signal?: AbortSignal): Promise<OpenSource> {
  const policy = { roots: [tmpdir()], nbdAllow: ['127.0.0.1'], scratchDir: shop.scratchDir };
  return openSource(spec, policy, signal ? { signal } : {});
}

export async function withSource<T>(
  shop: Workshop,
  spec: SourceSpec,
  work: (source: OpenSource) => Promise<T>,
): Promise<T> {
  const source = await openIn(shop, spec);
  try {
    return await work(source);
  } finally {
    await source.close();
  }
}

/** What every operation on a test's layer `name` takes. */
export function layerJob(shop: Workshop, source: OpenSource, name: string) {
  return {
    source,
    virtualSizeBytes: source.sizeBytes,
    digestPath: shop.path(`${name}.digests`),
    backupId: `bkp_${name}`,
    scratchDir: shop.scratchDir,
    signal: new AbortController().signal,
  };
}

/** Creates an empty overlay. */
export async function createOverlay(
  shop: Workshop,
  name: string,
  parent: string,
  sizeBytes: number,
): Promise<string> {
  const path = shop.path(`${name}.qcow2`);
  const backing = `${parent}.qcow2`;
  await tool(
    'qemu-img',
    'create',
    '-q',
    '-f',
    'qcow2',
    '-b',
    backing,
    '-F',
    'qcow2',
    path,
    String(sizeBytes),
  );
  return path;
}

/**
 * Expects the top of a chain to be byte for byte the disk, by `qemu-img compare`, and the content id of the digest
 * indexes to be that of what is read back.
 * @param layers names, topmost first
 */
export async function expectSameContent(
  shop: Workshop,
  layers: readonly string[],
  disk: { path: string; format: 'raw' | 'qcow2'; sizeBytes: number },
): Promise<void> {
  const top = shop.path(`${layers[0]}.qcow2`);
  await tool('qemu-img', 'compare', '-f', 'qcow2', '-F', disk.format, top, disk.path);
  const check = await tool('qemu-img', 'check', '-q', '-f', 'qcow2', top);
  expect(check).to.equal('');
  const virtualSizeBytes = disk.sizeBytes;
  const digests = layers.map((name) => shop.path(`${name}.digests`));
  const expected = await contentId({ layers: digests, virtualSizeBytes });
  const reading = { signal: new AbortController().signal, scratchDir: shop.scratchDir };
  const ours = await contentIdOfImage(
    { type: 'file', path: top, format: 'qcow2' },
    virtualSizeBytes,
    reading,
  );
  const theirs = await contentIdOfImage(
    { type: 'file', path: disk.path, format: disk.format },
    virtualSizeBytes,
    reading,
  );
  expect(ours, 'content id of the chain read back').to.equal(expected);
  expect(theirs, 'content id of the disk').to.equal(expected);
}
