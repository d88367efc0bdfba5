import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';

/** A reader who follows an import wants to find more than a line or two behind it. */
const MOST_SMALL_FILES = 19;

describe('Files of 40 lines or less that one other file imports', function () {
  this.timeout(60_000);

  it('are few, and each says in its first line why it stands alone', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['scripts/measure-code.mjs', '--small']);
    const small = stdout.split('\n').flatMap((line) => /^\W*(src\/\S+\.ts)/.exec(line)?.[1] ?? []);
    expect(small, 'join one with the file that imports it').to.have.length.within(1, MOST_SMALL_FILES);
    for (const path of small) expect(await readFile(path, 'utf8'), path).to.match(/^\/\/ .{20}/);
  });
});
