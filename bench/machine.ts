import { readFile, statfs } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { run } from './tools.js';

/** What the figures were measured on, as lines of text, without anything that names the machine. */
export async function describeMachine(place: string): Promise<string[]> {
  const [cpu] = cpus();
  const first = async (tool: string, ...args: string[]) =>
    (await run(tool, ...args)).trim().split('\n')[0] ?? '';
  return [
    `${cpus().length} x ${cpu?.model ?? 'unknown CPU'}, ${Math.round(totalmem() / 1024 ** 3)} GiB of memory`,
    `Linux ${release()}, ${await fileSystem(place)}`,
    `Node.js ${process.version}, ${await first('qemu-img', '--version')}, ${await first('nbdkit', '--version')}`,
    (await first('redis-server', '--version')).replace(/ sha=.*/, ''),
    (await first('mariadbd', '--version')).replace(/^\S*\//, ''),
  ];
}

/** Type of the file system that holds a directory, by the longest mount point that it lies below. */
async function fileSystem(place: string): Promise<string> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).trim().split('\n');
  const holding = mounts
    .map((line) => line.split(' '))
    .filter(([, at = '']) => at === '/' || place === at || place.startsWith(`${at}/`))
    .sort(([, a = ''], [, b = '']) => a.length - b.length)
    .at(-1);
  const { bsize } = await statfs(place);
  return `${holding?.[2] ?? 'unknown file system'} (blocks of ${bsize} bytes)`;
}
