import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createImage } from '../../../../src/qcow2/index.js';
import { createMarker, MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { countQuarantine, expireQuarantine } from '../../../../src/services/repository/expireQuarantine.js';
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

  it('keeps images of any age that qemu-img restores or on which others stand, with their sidecars, and loses the rest', async () => {
    const disk = (day: string, name: string) => file(day, 'vm', 'disk-0', name);
    const live = join(repository.rootPath, 'vm', 'disk-0');
    await mkdir(live, { recursive: true });
    const make = (path: string, below?: string) =>
      createImage(path, {
        virtualSizeBytes: 1024 * 1024,
        ...(below === undefined ? {} : { backing: { name: below, format: 'qcow2' as const } }),
      });
    await make(join(live, 'full.qcow2'));
    await make(join(live, 'a.qcow2'), 'full.qcow2');
    await make(join(live, 'b.qcow2'), 'a.qcow2');
    await make(join(live, 'lone.qcow2'), 'full.qcow2');
    await make(join(live, 'ended.qcow2'), 'full.qcow2');
    const note = (reason: string, name: string) => JSON.stringify({ reason, file: `vm/disk-0/${name}` });
    for (const [name, reason] of [
      ['a.qcow2', 'of_ended_job'],
      ['lone.qcow2', 'unknown_file'],
      ['ended.qcow2', 'of_ended_job'],
    ] as const) {
      await rename(join(live, name), disk('2026-05-29', name));
      await writeFile(disk('2026-05-29', `${name}.reason.json`), note(reason, name));
    }
    await writeFile(disk('2026-05-29', 'a.json'), '{}');
    const kept: string[] = [];
    const onKept = (paths: readonly string[]) => kept.push(...paths);
    await expireQuarantine(repository, { now: NOW, days: 30, signal, onKept });
    expect(kept.map((path) => path.slice('.quarantine/2026-05-29/vm/disk-0/'.length))).to.deep.equal([
      'a.qcow2',
      'lone.qcow2',
    ]);
    expect((await readdir(disk('2026-05-29', ''))).sort()).to.deep.equal([
      'a.json',
      'a.qcow2',
      'a.qcow2.reason.json',
      'lone.qcow2',
      'lone.qcow2.reason.json',
    ]);
  });

  it('keeps the sidecars of an image that stays where its name was taken and theirs were not', async () => {
    const disk = (name: string) => file('2026-05-29', 'vm', 'disk-0', name);
    await createImage(disk('x.qcow2.1'), { virtualSizeBytes: 1024 * 1024 });
    const reason = JSON.stringify({ reason: 'unknown_file', file: 'vm/disk-0/x.qcow2' });
    await writeFile(disk('x.qcow2.1.reason.json'), reason);
    await writeFile(disk('x.json'), '{}');
    await expireQuarantine(repository, { now: NOW, days: 30, signal });
    expect((await readdir(disk(''))).sort()).to.deep.equal(['x.json', 'x.qcow2.1', 'x.qcow2.1.reason.json']);
  });

  it('loses no image while anything on which images may stand cannot be looked at', async () => {
    const images = ['2026-05-29', '2026-05-30'].map((day) => file(day, 'vm', 'disk-0', 'x.qcow2'));
    for (const path of images) {
      await rm(path);
      await createImage(path, { virtualSizeBytes: 1024 * 1024 });
      await writeFile(
        `${path}.reason.json`,
        JSON.stringify({ reason: 'of_ended_job', file: 'vm/disk-0/x.qcow2' }),
      );
    }
    await mkdir(join(repository.rootPath, 'vm2'));
    await writeFile(join(repository.rootPath, 'vm2', 'disk-0'), 'a file in the place of a directory');
    expect(await codeOf(expireQuarantine(repository, { now: NOW, days: 30, signal }))).to.equal(
      'repository_unavailable',
    );
    expect(await readdir(file())).to.have.length(4);
    await rm(join(repository.rootPath, 'vm2'), { recursive: true });
    await expireQuarantine(repository, { now: NOW, days: 30, signal });
    expect(await readdir(file())).to.have.members(['2026-06-29', 'mine']);
  });
});
