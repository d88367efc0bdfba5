import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Repository } from '../../../../src/entities/index.js';
import { registerRepository } from '../../../../src/producers/accept/index.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';

describe('A directory that becomes a repository', () => {
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet();
  });
  after(() => fleet.close());

  const add = (name: string, root_path: string, adopt = false) =>
    registerRepository(fleet.accept, { name, type: 'local', root_path, ...(adopt ? { adopt } : {}) });
  const count = () => fleet.suite.ds.getRepository(Repository).count();

  it('is refused when it belongs to another repository, and nothing is changed', async () => {
    const root = join(fleet.suite.tempDir, 'foreign');
    await mkdir(root);
    await writeFile(
      join(root, MARKER_NAME),
      JSON.stringify({ format: 'strata-repository', version: 1, repository_id: 'repo_other' }),
    );
    const before = await count();
    expect(await codeOf(add('foreign', root))).to.equal('repository_marker_foreign');
    expect(await count()).to.equal(before);
    expect(await readFile(join(root, MARKER_NAME), 'utf8')).to.contain('repo_other');
  });

  it('is taken over with the id in its marker when that is asked for, once', async () => {
    const root = join(fleet.suite.tempDir, 'foreign');
    expect((await add('taken', root, true)).id).to.equal('repo_other');
    expect(await codeOf(add('again', root, true))).to.equal('name_taken');
  });

  it('cannot be taken over where it has no marker, or one that holds no id', async () => {
    const root = join(fleet.suite.tempDir, 'empty');
    await mkdir(root);
    expect(await codeOf(add('empty', root, true))).to.equal('invalid_request');
    await writeFile(
      join(root, MARKER_NAME),
      JSON.stringify({ format: 'strata-repository', version: 1, repository_id: '../../x' }),
    );
    expect(await codeOf(add('empty', root, true))).to.equal('repository_marker_foreign');
  });

  it('is refused when it is relative, the root of the file system, a file, or named badly', async () => {
    expect(await codeOf(add('a', 'relative'))).to.equal('path_not_allowed');
    expect(await codeOf(add('a', '/'))).to.equal('path_not_allowed');
    expect(await codeOf(add('a', `${fleet.suite.tempDir}/../x`))).to.equal('path_not_allowed');
    expect(await codeOf(add('../a', join(fleet.suite.tempDir, 'b')))).to.equal('invalid_name');
    await writeFile(join(fleet.suite.tempDir, 'file'), '');
    expect(await codeOf(add('a', join(fleet.suite.tempDir, 'file')))).to.equal('invalid_request');
  });
});
