import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { POINT_NOTES } from '../../../../src/entities/index.js';
import { DEMOTED_REASONS } from '../../../../src/services/chain/plan.js';
import { PROBLEMS } from '../../../../src/services/rebuild/facts.js';
import { REASONS } from '../../../../src/services/reconcile/index.js';

describe('docs/operations.md', () => {
  it('names every reason of a reconciliation and every problem of a rebuild', async () => {
    const text = await readFile(new URL('../../../../../docs/operations.md', import.meta.url), 'utf8');
    const missing = [...Object.keys(REASONS), ...Object.keys(PROBLEMS)].filter(
      (code) => !text.includes(`\`${code}\``),
    );
    expect(missing).to.deep.equal([]);
  });

  it('names every reason for which a backup became something else, and every note of a restore point', async () => {
    const text = await readFile(new URL('../../../../../docs/operations.md', import.meta.url), 'utf8');
    const missing = [...DEMOTED_REASONS, ...POINT_NOTES].filter((code) => !text.includes(`\`${code}\``));
    expect(missing).to.deep.equal([]);
  });
});
