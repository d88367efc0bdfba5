import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createMarker, MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { countQuarantine, expireQuarantine } from '../../../../src/services/repository/quarantined.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { createSuite, type Suite } from '../../../helpers/suite.js';

const { signal } = new AbortController();
const NOW = new Date('2026-06-30T12:00:00Z');

describe('The quarantine of a repository', () => {
  let suite: Suite;
  let repository: { id: string; rootPath: string };
  const file = (...parts: string[]) => join(repository.rootPath, '.quarantine', ...parts);
  beforeEach(async () => {
    suite = await createSuite();
    repository = { id: 'repo_q', rootPath: join(suite.tempDir, 'repository') };
    await createMarker(repository.rootPath, repository.id, NOW);
    for (const day of ['2026-05-29', '2026-05-30', '2026-06-29', 'mine']) {
      await mkdir(file(day, 'vm', 'disk-0'), { recursive: true });
      await writeFile(file(day, 'vm', 'disk-0', 'x.qcow2'), Buffer.alloc(5000));
    }
  });
  afterEach(() => suite.close());

  it('loses what has lain in it for the whole grace, and nothing else', async () => {
    const removed = await expireQuarantine(repository, { now: NOW, days: 30, signal });
    expect(removed).to.deep.equal({ files: 2, bytes: 2 * 8192 });
    expect(await readdir(file())).to.have.members(['2026-06-29', 'mine']);
    expect(await countQuarantine(repository, signal)).to.deep.equal({ files: 2, bytes: 2 * 8192 });
    expect(await expireQuarantine(repository, { now: NOW, days: 30, signal })).to.deep.equal({
      files: 0,
      bytes: 0,
    });
  });

  it('is left alone in a directory that is not the repository', async () => {
    const marker = join(repository.rootPath, MARKER_NAME);
    await rename(marker, `${marker}.away`);
    const work = expireQuarantine(repository, { now: NOW, days: 0, signal });
    expect(await codeOf(work)).to.equal('repository_unavailable');
    expect(await readdir(file())).to.have.length(4);
  });
});
