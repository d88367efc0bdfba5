import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type ImageFormat, serveImage } from '../../src/qcow2/index.js';

/**
 * Has an image open as a running machine does: with QEMU's lock for writing. That a guest's is the same, was tried with
 * qemu-system-x86_64 7.2 (docs/decisions/0019).
 */
export async function asMachine(
  directory: string,
  path: string,
  format: ImageFormat,
  work: () => Promise<void>,
): Promise<void> {
  const socketPath = join(directory, 'machine.sock');
  const machine = await serveImage({ path, format, readOnly: false, socketPath });
  try {
    await work();
  } finally {
    await machine.close();
  }
}

/** Whether a machine that wants the image is told that it is locked. */
export async function machineIsRefused(path: string, format: ImageFormat): Promise<boolean> {
  try {
    await promisify(execFile)('qemu-io', ['-f', format, '-c', 'write 0 512', path]);
    return false;
  } catch (error) {
    expect((error as { stderr: string }).stderr).to.match(/Failed to get "(write|resize)" lock/);
    return true;
  }
}

/** The process that has the file's locks and is a child of this one. */
export function holderOf(path: string): number {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const program = readFileSync(`/proc/${name}/comm`, 'utf8').trim();
      const open = readdirSync(`/proc/${name}/fd`).map((fd) => readlinkSync(`/proc/${name}/fd/${fd}`));
      const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      if (program === 'perl' && open.includes(path) && Number(parent) === process.pid) return Number(name);
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error(`Nobody holds ${path}.`);
}
