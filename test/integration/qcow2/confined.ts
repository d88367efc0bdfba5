import { chmod, chown, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { findSandbox, type ForeignImage } from '../../../src/qcow2/index.js';
import { runTool } from '../../../src/qcow2/runTool.js';
import type { Tool, ToolCall } from '../../../src/qcow2/toolCall.js';
import { isAlive, run, tempDir } from './images.js';

export const ROOT = process.getuid?.() === 0;

/** A QCOW2 image that its owner alone may read, and the sandbox of this host. */
export interface Confined {
  at: (name: string) => string;
  image: ForeignImage;
  /** A shell in place of the tool. */
  shell(args: string[], foreign?: ForeignImage, socketDirectory?: string): ToolCall;
  /** What a script prints there. */
  inside(script: string, foreign?: ForeignImage, socketDirectory?: string): Promise<string>;
  remove: () => Promise<void>;
}

/** Undefined where the host has no sandbox: to root only a container forbids it. */
export async function confine(): Promise<Confined | undefined> {
  const temp = await tempDir();
  const { sandbox } = await findSandbox(temp.dir);
  if (!sandbox) {
    await temp.remove();
    return undefined;
  }
  const path = temp.at('disk.qcow2');
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, '4M']);
  await chmod(path, 0o600);
  if (ROOT) await chown(path, 4321, 4321);
  await writeFile(temp.at('secret'), 'secret', { mode: 0o644 });
  const file = await open(path);
  const image: ForeignImage = {
    files: [{ name: 'disk.qcow2', path, fd: file.fd, readableBy: 'capability' }],
    sandbox,
  };
  const shell: Confined['shell'] = (args, foreign = image, socketDirectory) => {
    const tool: string = 'sh';
    const more = socketDirectory === undefined ? {} : { socketDirectory };
    return { tool: tool as Tool, args, deadlineMs: 60_000, foreign, ...more };
  };
  return {
    at: temp.at,
    image,
    shell,
    inside: async (script, ...more) => (await runTool(shell(['-c', script], ...more), {})).stdout.trim(),
    remove: async () => {
      await file.close();
      await temp.remove();
    },
  };
}

/** The command lines of all processes that have a word in them. */
export async function commandsWith(word: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const commands = await Promise.all(
    pids.map(async (pid) => {
      if (!(await isAlive(Number(pid)))) return '';
      return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    }),
  );
  return commands.map((text) => text.replaceAll('\0', ' ')).filter((text) => text.includes(word));
}
