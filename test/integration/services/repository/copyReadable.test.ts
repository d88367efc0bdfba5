import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { copyReadable } from '../../../../src/services/repository/copyReadable.js';
import { StrataError } from '../../../../src/shared/errors.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type FailingDisk, openFailingDisk } from '../../../helpers/failingDisk.js';
import { createSuite, type Suite } from '../../../helpers/suite.js';

const BLOCK = 65_536;
const LENGTH = 37 * BLOCK + 1234;
const BAD = [0, 21, 37];

describe('A copy of a file', () => {
  let suite: Suite;
  let disk: FailingDisk;
  before(async () => {
    suite = await createSuite();
    disk = await openFailingDisk(suite.tempDir, 'failing');
  });
  after(async () => {
    await disk.remove();
    await suite.close();
  });
  const copy = (from: string, to: string, signal = new AbortController().signal, bytesPerSecond?: number) =>
    copyReadable({ from, to, rate: () => bytesPerSecond, signal });

  it('has all that its disk gives, in its place, and zeros in the blocks of bad sectors', async () => {
    const [from, to] = [join(disk.path, 'from'), join(disk.path, 'to')];
    const content = randomBytes(LENGTH);
    await writeFile(from, content, { mode: 0o640 });
    await copy(from, to);
    expect((await readFile(to)).equals(content)).to.equal(true);
    for (const block of BAD) await disk.failAt(from, block * BLOCK + 1000);
    const again = join(disk.path, 'again');
    await copy(from, again);
    for (const block of BAD) content.fill(0, block * BLOCK, Math.min((block + 1) * BLOCK, LENGTH));
    expect((await readFile(again)).equals(content)).to.equal(true);
    expect((await stat(again)).mode & 0o777).to.equal(0o640);
  });

  it('is made as slowly as it is told to', async () => {
    const from = join(suite.tempDir, 'slow');
    await writeFile(from, randomBytes(3 * 1024 ** 2));
    const began = performance.now();
    await copy(from, `${from}.copy`, undefined, 4 * 1024 ** 2);
    // Less the burst that a limit allows.
    expect(performance.now() - began).to.be.above(750 - 250);
    expect((await readFile(`${from}.copy`)).equals(await readFile(from))).to.equal(true);
  });

  it('replaces no file, and ends when it is told to', async () => {
    const [from, to] = [join(suite.tempDir, 'a'), join(suite.tempDir, 'b')];
    await writeFile(from, 'a');
    await writeFile(to, 'b');
    expect(await codeOf(copy(from, to))).to.contain('EEXIST');
    expect(await readFile(to, 'utf8')).to.equal('b');
    const stopped = AbortSignal.abort(new StrataError('lease_lost', 'It was lost.'));
    expect(await codeOf(copy(from, join(suite.tempDir, 'c'), stopped))).to.equal('lease_lost');
  });
});
