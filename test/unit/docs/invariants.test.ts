import { readFile } from 'node:fs/promises';
import { expect } from 'chai';

const INVARIANTS = 19;

describe('The document of the invariants', () => {
  it('names for each the code that keeps it and a test that shows it, and all of them exist', async () => {
    const lines = (await readFile('docs/invariants.md', 'utf8')).split('\n');
    const rows = lines.filter((line) => /^\| \d+ \|/.test(line)).map((line) => line.split(' | '));
    expect(rows.map(([number]) => Number(number?.replace('| ', '')))).to.deep.equal(
      Array.from({ length: INVARIANTS }, (_, index) => index + 1),
    );
    for (const [number, , code = '', tests = ''] of rows) {
      const kept = [...code.matchAll(/`(src\/[^`]+)` `([^`]+)`/g)];
      const shown = [...tests.matchAll(/`(test\/[^`]+)` "([^"]+)"/g)];
      expect(kept, `code of ${number}`).to.not.deep.equal([]);
      expect(shown, `tests of ${number}`).to.not.deep.equal([]);
      for (const [, file = '', name = ''] of kept)
        expect(await readFile(file, 'utf8'), `${number}: ${file}`).to.match(
          new RegExp(`export (async )?function\\*? ${name}\\b`),
        );
      for (const [, file = '', title = ''] of shown) {
        const titles = (await readFile(file, 'utf8')).matchAll(/\bit\(\s*(['"`])(.+?)\1,/g);
        expect(
          [...titles].map((match) => match[2]),
          `${number}: ${file}`,
        ).to.include(title);
      }
    }
  });
});
