import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { clearPlace, openPlace } from '../../../../src/services/job/openPlace.js';
import { type Under, underLease } from '../../../../src/services/job/under.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { buildChain, type ChainFixture } from '../../../helpers/chainFixture.js';
import { addValidation, hold } from '../../../helpers/chainJobs.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';

describe('The first step of every attempt', function () {
  this.timeout(60_000);
  let suite: DatabaseSuite;
  let chain: ChainFixture;
  let under: Under;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  beforeEach(async () => {
    chain = await buildChain(suite.ds, suite.tempDir);
    const held = await hold(suite.ds, 'maintenance', await addValidation(suite.ds, chain));
    const deps = { ds: suite.ds, clock: systemClock, scratchDir: suite.tempDir };
    under = underLease(deps, held, () => undefined);
  });
  after(() => suite.close());

  it('finds the job, its repository and the directory of its disk', async () => {
    const place = await openPlace(under, 'maintenance');
    expect(place.job.id).to.equal(under.held.lease.jobId);
    expect(place.root).to.equal(chain.root);
    expect(join(place.root, place.directory)).to.equal(chain.directory);
    expect(place.chainId).to.equal(chain.chainId);
  });

  it('ends where the repository is not there', async () => {
    await rename(join(chain.root, MARKER_NAME), join(chain.root, 'elsewhere'));
    expect(await codeOf(openPlace(under, 'maintenance'))).to.equal('repository_unavailable');
  });

  it('removes the temporary files of dead attempts before anything is written, and no others', async () => {
    const { fence } = under.held.lease;
    const files = await readdir(chain.directory);
    for (const each of [fence - 1, fence, fence + 1])
      await writeFile(join(chain.directory, `.backup.${each}.partial`), '');
    const place = await openPlace(under, 'maintenance');
    expect(await clearPlace(under, place)).to.equal(chain.directory);
    expect(await readdir(chain.directory)).to.have.members([
      ...files,
      `.backup.${fence}.partial`,
      `.backup.${fence + 1}.partial`,
    ]);
  });

  it('leaves no directories below an empty mount point', async () => {
    const place = await openPlace(under, 'maintenance');
    for (const name of await readdir(chain.root)) await rm(join(chain.root, name), { recursive: true });
    expect(await codeOf(clearPlace(under, place))).to.equal('repository_unavailable');
    expect(await readdir(chain.root)).to.deep.equal([]);
  });
});
