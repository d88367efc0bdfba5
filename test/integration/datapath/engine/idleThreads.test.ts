import { execFile } from 'node:child_process';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { createHashPool } from '../../../../src/datapath/engine/hashPool.js';

const LENGTH = 65_536;

/** The threads of this process: their ids for the kernel and their nice values (field 19 of proc(5)'s stat). */
async function threads(): Promise<{ id: string; nice: number }[]> {
  const ids = await readdir('/proc/self/task');
  return Promise.all(
    ids.map(async (id) => {
      const stat = await readFile(`/proc/self/task/${id}/stat`, 'utf8');
      // The name in parentheses may hold blanks.
      return { id, nice: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]) };
    }),
  );
}

const ioClass = async (id: string) => (await promisify(execFile)('ionice', ['-p', id])).stdout.trim();

describe('The threads of a deep validation', () => {
  it('yield the processor and the disk to everything else, and no other thread of the process does', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'idle-'));
    const path = join(folder, 'data');
    await writeFile(path, Buffer.alloc(LENGTH, 7));
    const file = await open(path, 'r');
    const pool = createHashPool({ readError: (error) => error as Error, idle: true });
    const before = new Set((await threads()).map(({ id }) => id));
    try {
      const place = { file: { fd: file.fd }, offset: 0 };
      await pool.hash({
        blocks: [{ first: 0, end: LENGTH / 65_536 }],
        length: LENGTH,
        reads: [{ at: 0, length: LENGTH, place }],
      });
      const now = await threads();
      const idle = now.filter(({ nice }) => nice === 19);
      expect(idle).to.have.lengthOf(1);
      for (const { id } of idle) {
        expect(before.has(id), 'a thread of its own').to.equal(false);
        expect(await ioClass(id)).to.equal('idle');
      }
      for (const { id, nice } of now.filter((thread) => !idle.includes(thread))) {
        expect(nice).to.equal(0);
        expect(await ioClass(id)).to.not.equal('idle');
      }
    } finally {
      await pool.close();
      await file.close();
      await rm(folder, { recursive: true });
    }
  });
});
