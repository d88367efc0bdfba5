import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { FINDINGS, NEXT_STEPS } from '../../../../src/services/validation/index.js';

describe('docs/validation.md', () => {
  it('lists every code of a finding with its severity and its verdict, and no other', async () => {
    const text = await readFile(new URL('../../../../../docs/validation.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| `(\w+)` \| (\w+) \| (\w+) \|/gm)].map(([, ...cells]) =>
      cells.join(' '),
    );
    const codes = Object.entries(FINDINGS).map(
      ([code, { severity, verdict }]) => `${code} ${severity} ${verdict}`,
    );
    expect(rows).to.deep.equal(codes);
  });

  it('says what to do next in the words of the report', async () => {
    const text = await readFile(new URL('../../../../../docs/validation.md', import.meta.url), 'utf8');
    const steps = [...text.matchAll(/^\| `(\w+)` \| (?:error|warning) .* \| (.+) \|$/gm)].map(
      ([, code, step]) => [code, step],
    );
    expect(Object.fromEntries(steps)).to.deep.equal(NEXT_STEPS);
  });
});
