import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Repository } from '../../../../src/entities/index.js';
import { registerRepository } from '../../../../src/producers/accept/index.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import type { StrataError } from '../../../../src/shared/errors.js';
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

  it('is refused inside of another repository and around one, wherever links lead, and nothing is changed', async () => {
    const { tempDir } = fleet.suite;
    const outer = join(tempDir, 'outer');
    await add('outer', outer);
    await symlink(outer, join(tempDir, 'link'));
    await mkdir(join(tempDir, 'around'));
    await add('inner', join(tempDir, 'around', 'a', 'inner'));
    await symlink(join(tempDir, 'around'), join(tempDir, 'around-link'));
    // The name of the catalogue leads elsewhere by now: it is still not free.
    await add('moved', join(tempDir, 'moved', 'root'));
    await rename(join(tempDir, 'moved'), join(tempDir, 'away'));
    const before = await count();
    const refused = [
      join(outer, 'x'),
      join(outer, 'not', 'there', 'yet'),
      join(tempDir, 'link'),
      join(tempDir, 'link', 'x'),
      join(tempDir, 'around'),
      join(tempDir, 'around', 'a'),
      join(tempDir, 'around-link'),
      join(tempDir, 'moved'),
      join(tempDir, 'moved', 'root', 'x'),
    ];
    for (const root of refused) {
      const error = await add('nested', root).catch((thrown: unknown) => thrown);
      expect(error, root).to.include({ code: 'repository_marker_foreign' });
      expect((error as StrataError).fields.map(({ field }) => field)).to.deep.equal(['root_path']);
    }
    expect(await count()).to.equal(before);
    expect(await readdir(outer)).to.deep.equal([MARKER_NAME]);
    expect(await readdir(join(tempDir, 'around'))).to.deep.equal(['a']);
    // A name that only begins alike is beside it.
    await add('beside', `${outer}-2`);
  });

  it('is refused inside of a repository that this catalogue does not know', async () => {
    const root = join(fleet.suite.tempDir, 'unknown');
    await mkdir(join(root, 'deep'), { recursive: true });
    await writeFile(join(root, MARKER_NAME), '{}');
    expect(await codeOf(add('deep', join(root, 'deep', 'er')))).to.equal('repository_marker_foreign');
    expect(await readdir(join(root, 'deep'))).to.deep.equal([]);
  });

  it('is refused to one of two at least that are registered at a time, one in the other', async () => {
    const root = join(fleet.suite.tempDir, 'race');
    const codes = await Promise.all([codeOf(add('race', root)), codeOf(add('race-in', join(root, 'in')))]);
    expect(codes).to.include('repository_marker_foreign');
    const [row] = await fleet.suite.ds.query<{ n: string }[]>(
      "SELECT COUNT(*) AS n FROM repositories WHERE name LIKE 'race%'",
    );
    expect(Number(row?.n)).to.be.at.most(1);
  });
});
