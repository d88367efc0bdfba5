import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { DataSource } from 'typeorm';
import type { ValidationReport } from '../../../../../src/services/validation/index.js';
import type { ChainFixture } from '../../../../helpers/chainFixture.js';
import type { Suite } from '../../../../helpers/suite.js';
import { validate } from '../support.js';

const PROGRAM = fileURLToPath(new URL('validateAsOwner.js', import.meta.url));

/**
 * Validates a chain with no more rights than a file's owner has: root may read every file, whatever its mode says. As root
 * that is a process of its own without the two capabilities that make it so, because Node has no call for capabilities, and
 * `process.seteuid` throws where Node shares its libuv with io_uring (Debian 13's Node 20).
 */
export async function validateAsOwner(
  suite: Suite & { ds: DataSource },
  chain: Pick<ChainFixture, 'chainId' | 'repositoryId'>,
  level: 'quick' | 'deep',
): Promise<ValidationReport> {
  if (process.getuid?.() !== 0) return validate(suite.ds, chain, { level });
  const { databaseSocketPath, databaseUser, databaseName } = suite;
  const node = [process.execPath, PROGRAM];
  const database = [databaseSocketPath, databaseUser, databaseName];
  const asOwner = ['--pdeathsig', 'KILL', '--bounding-set', '-dac_override,-dac_read_search', '--'];
  const wanted = [chain.chainId, chain.repositoryId, level];
  const { stdout } = await execa('setpriv', [...asOwner, ...node, ...database, ...wanted]);
  return JSON.parse(stdout) as ValidationReport;
}
