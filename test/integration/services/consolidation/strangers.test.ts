import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { createImage } from '../../../../src/qcow2/index.js';
import { runTool } from '../../../helpers/runTool.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';

describe('A consolidation beside images that the catalogue does not know', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  before(async () => {
    bench = await openMergeBench(linearChain(2));
  });
  beforeEach(() => bench.reset());
  after(() => bench.close());

  const overlay = async (name: string, on: string): Promise<string> => {
    const path = join(bench.chain.directory, name);
    const backing = { name: on, format: 'qcow2' as const };
    await createImage(path, { virtualSizeBytes: 8 * 1024 ** 2, backing });
    return path;
  };

  it('removes nothing on which one stands that was set aside', async () => {
    const files = await readdir(bench.chain.directory);
    const path = await overlay('mine.qcow2', basename(bench.at(2).image));
    const { root, directory } = bench.chain;
    const aside = join(root, '.quarantine', '2026-01-01', directory.slice(root.length + 1), 'mine.qcow2');
    await mkdir(dirname(aside), { recursive: true });
    await rename(path, aside);
    const jobId = await bench.add(bench.at(2));
    expect(await codeOf(bench.attempt(jobId))).to.equal('backup_in_use');
    expect(await readdir(directory)).to.have.members(files);
    await rm(join(root, '.quarantine'), { recursive: true });
  });

  it('removes nothing while one names its backing file in words that only QEMU reads', async () => {
    const files = await readdir(bench.chain.directory);
    const file = { driver: 'file', filename: bench.at(2).image };
    const path = await overlay('mine.qcow2', basename(bench.at(2).image));
    const words = `json:${JSON.stringify({ driver: 'qcow2', file })}`;
    await runTool('qemu-img', 'rebase', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', words, path);
    const jobId = await bench.add(bench.at(2));
    expect(await codeOf(bench.attempt(jobId))).to.equal('image_unreadable');
    await rm(path);
    expect(await readdir(bench.chain.directory)).to.have.members(files);
  });

  it('ends with an error, and removes nothing, while the header of one cannot be read', async () => {
    const files = await readdir(bench.chain.directory);
    const path = join(bench.chain.directory, 'mine.qcow2');
    await symlink('/nowhere/mine.qcow2', path);
    const jobId = await bench.add(bench.at(2));
    expect(await codeOf(bench.attempt(jobId))).to.equal('image_unreadable');
    await rm(path);
    expect(await readdir(bench.chain.directory)).to.have.members(files);
    await bench.attempt(jobId);
    await bench.expectDone([bench.at(1), bench.at(3)], 'readable again');
  });

  it('removes a backup whose own header cannot be read, and what it stood on stays', async () => {
    const { image } = bench.at(3);
    await rm(image);
    await symlink('/nowhere/backup.qcow2', image);
    await bench.attempt(await bench.add(bench.at(3)));
    await bench.expectDone([bench.at(1), bench.at(2)], 'without the unreadable one');
  });
});
