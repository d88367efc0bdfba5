import { mkdir } from 'node:fs/promises';
import { expect } from 'chai';
import type { Ended } from './system.js';

/**
 * Registers a repository in a pool that no worker serves, and looks at the status of a fleet that runs as it should.
 * @param strata runs the command
 */
export async function expectUnserved(
  strata: (...args: string[]) => Promise<Ended>,
  directory: string,
): Promise<void> {
  await mkdir(directory);
  const added = await strata('repo', 'add', 'far', directory, '--pool', 'elsewhere');
  expect(added.code, added.err).to.equal(0);
  try {
    const { code, out, err } = await strata('status');
    expect(code).to.equal(7);
    expect(out).to.contain('Repository far: no live worker serves ');
    expect(err).to.contain('[pool_unserved]').and.to.contain('elsewhere').and.to.contain('STRATA_POOLS');
    const inJson = await strata('status', '--json');
    expect([inJson.code, JSON.parse(inJson.out).healthy]).to.deep.equal([7, false]);
  } finally {
    // A disabled one waits for nobody.
    const disabled = await strata('repo', 'set', 'far', '--disable');
    expect(disabled.code, disabled.err).to.equal(0);
  }
  const { code, err } = await strata('status');
  expect(code, err).to.equal(0);
}
