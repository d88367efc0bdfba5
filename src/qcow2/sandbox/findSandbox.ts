// Apart from sandbox.ts, which every call of a tool needs: the trial calls a tool itself.
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { asStrataError } from '../../shared/errors.js';
import { randomPart } from '../../shared/ids.js';
import { imageInfo } from '../info.js';
import { seccompFilter } from './seccompFilter.js';
import type { Sandbox } from './types.js';

export type SandboxFound = { sandbox: Sandbox } | { sandbox: undefined; reason: string };

const PROBE_BYTES = 512;

/**
 * Whether this host lets a tool run in a sandbox: tried once, by a real look at a file that its owner alone may read.
 * A kernel, a container or a missing program may forbid it: the reason is for a person.
 * @param directory private, for the file of the trial
 */
export async function findSandbox(directory: string): Promise<SandboxFound> {
  const filter = seccompFilter(process.arch);
  if (!filter) return { sandbox: undefined, reason: `There is no filter for ${process.arch} processors.` };
  const sandbox: Sandbox = { kind: process.getuid?.() === 0 ? 'root' : 'user', filter };
  const path = join(directory, `${randomPart(10)}.probe`);
  const file = await open(path, 'wx+', 0o600);
  try {
    await file.truncate(PROBE_BYTES);
    const probe = { name: 'probe', path, fd: file.fd, readableBy: 'capability' } as const;
    await imageInfo({ type: 'file', path, format: 'raw', foreign: { files: [probe], sandbox } });
    return { sandbox };
  } catch (error) {
    return { sandbox: undefined, reason: asStrataError(error).message };
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
