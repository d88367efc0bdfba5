import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { FINDINGS } from '../../../../src/services/validation/index.js';

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
});
