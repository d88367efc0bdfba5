import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { ERRORS } from '../../../src/shared/errorCodes.js';

describe('docs/errors.md', () => {
  it('lists every code of the registry with its status, exit code, outcome and sentence, and no other', async () => {
    // Tests run from the project's folder, compiled or not.
    const text = await readFile('docs/errors.md', 'utf8');
    const rows = text.split('\n').filter((line) => line.startsWith('| `'));
    const expected = Object.entries(ERRORS).map(
      ([code, { status, exit, outcome, title }]) =>
        `| \`${code}\` | ${status} | ${exit} | ${outcome} | ${title} |`,
    );
    expect(rows).to.deep.equal(expected);
  });

  it('is about codes that are words for scripts and sentences for people', () => {
    for (const [code, { title, status, exit }] of Object.entries(ERRORS)) {
      expect(code).to.match(/^[a-z]+(_[a-z]+)*$/);
      expect(title, code).to.match(/^[A-Za-z].*\.$/);
      expect(status, code).to.be.within(400, 599);
      expect(exit, code).to.be.within(2, 7);
    }
  });
});
