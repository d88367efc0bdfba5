import { expect } from 'chai';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { isStrataError, StrataError } from '../../../../src/shared/errors.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { runTool } from '../../../helpers/runTool.js';
import { names, openBench, type RestoreBench } from './support.js';

describe('restore refuses', function () {
  this.timeout(120_000);
  let bench: RestoreBench;

  beforeEach(async () => {
    bench = await openBench();
  });

  afterEach(() => bench.close());

  const failure = async (work: Promise<unknown>): Promise<StrataError> => {
    const error: unknown = await work.then(
      () => new Error('It did not fail.'),
      (reason: unknown) => reason,
    );
    if (isStrataError(error)) return error;
    throw error;
  };

  it('a target outside of the allowed directories, by wherever its directory really is', async () => {
    const { target, suite } = bench;
    const outside = join(suite.tempDir, 'outside');
    await mkdir(outside);
    await symlink(outside, join(target, 'way-out'));
    await symlink(target, join(suite.tempDir, 'way-in'));
    const refused = [
      join(outside, 'x.raw'),
      join(target, 'way-out', 'x.raw'),
      `${target}/../outside/x.raw`,
      `${target}-more.raw`,
      'x.raw',
      `${target}/`,
      `${target}/..`,
      join(bench.chain.directory, 'x.qcow2'),
    ];
    for (const path of refused) {
      const error = await failure(bench.restore({ path }));
      expect(error.code, path).to.equal('path_not_allowed');
      expect(error.fields[0]?.field).to.equal('target.path');
    }
    expect(await bench.restore({ path: join(suite.tempDir, 'way-in', 'x.raw') })).to.include({
      path: join(target, 'x.raw'),
    });
  });

  it('the repository itself, even where it is an allowed directory', async () => {
    const path = join(bench.chain.directory, 'x.raw');
    expect(await codeOf(bench.restore({ path, roots: [bench.suite.tempDir] }))).to.equal('path_not_allowed');
  });

  it('a target that exists, be it a file, a directory or a link to nowhere, and leaves it as it is', async () => {
    const file = join(bench.target, 'mine.raw');
    await writeFile(file, 'precious');
    await mkdir(join(bench.target, 'dir'));
    await symlink('/nonexistent', join(bench.target, 'nowhere'));
    await symlink(file, join(bench.target, 'link'));
    for (const name of ['mine.raw', 'dir', 'nowhere', 'link']) {
      expect(await codeOf(bench.restore({ path: join(bench.target, name) })), name).to.equal('file_exists');
    }
    expect(await readFile(file, 'utf8')).to.equal('precious');
    expect(await names(bench)).to.deep.equal(['dir', 'link', 'mine.raw', 'nowhere']);
  });

  it('a target in a directory that does not exist', async () => {
    const error = await failure(bench.restore({ path: join(bench.target, 'no', 'x.raw') }));
    expect(error.code).to.equal('invalid_request');
    expect(error.fields[0]?.field).to.equal('target.path');
  });

  it('a damaged backup, and a suspect one that nothing would prove, and one that stands on such a one', async () => {
    const path = join(bench.target, 'x.raw');
    const mark = (health: string) =>
      bench.ds.query('UPDATE backup_jobs SET health = ? WHERE id = ?', [health, bench.at(2).id]);
    for (const [health, verify] of [
      ['damaged', true],
      ['suspect', false],
    ] as const) {
      await mark(health);
      expect(await codeOf(bench.restore({ number: 2, path, verify }))).to.equal('backup_damaged');
      expect(await codeOf(bench.restore({ number: 4, path, verify }))).to.equal('backup_damaged');
    }
    expect(await names(bench)).to.deep.equal([]);
    expect(await bench.restore({ number: 1, path })).to.include({ verified: true });
  });

  it('what was once read wrong, where nothing would prove it; a restore that verifies clears it', async () => {
    const path = join(bench.target, 'x.raw');
    await bench.ds.query('UPDATE backup_jobs SET content_wrong_at = UTC_TIMESTAMP(3) WHERE id = ?', [
      bench.at(2).id,
    ]);
    for (const number of [2, 4]) {
      const error = await failure(bench.restore({ number, path, verify: false }));
      expect(error.code).to.equal('backup_damaged');
      expect(error.message).to.contain('was once read with wrong content');
    }
    expect(await bench.restore({ number: 2, path })).to.include({ verified: true });
    await rm(path);
    expect(await bench.restore({ number: 4, path, verify: false })).to.include({ verified: false });
  });

  it('but not a suspect backup that it proves by its content id; one that is not as it was, it does not publish', async () => {
    const path = join(bench.target, 'x.raw');
    await bench.ds.query(`UPDATE backup_jobs SET health = 'suspect'`);
    expect(await bench.restore({ path })).to.include({ verified: true });
    await rm(path);
    await bench.ds.query('UPDATE backup_jobs SET content_id = ? WHERE id = ?', [
      bench.at(1).contentId,
      bench.at(4).id,
    ]);
    expect(await codeOf(bench.restore({ number: 4, path }))).to.equal('content_mismatch');
    expect(await names(bench)).to.deep.equal([]);
  });

  it('to follow a header that was made to refer to another file', async () => {
    await runTool(
      'qemu-img',
      'rebase',
      '-u',
      '-f',
      'qcow2',
      '-b',
      '/etc/hostname',
      '-F',
      'raw',
      bench.at(2).image,
    );
    expect(await codeOf(bench.restore({ path: join(bench.target, 'x.raw') }))).to.equal('backup_damaged');
    expect(await names(bench)).to.deep.equal([]);
  });

  it('to begin when a file of the chain is missing, and waits when the repository is', async () => {
    const path = join(bench.target, 'x.raw');
    await rm(bench.at(2).image);
    expect(await codeOf(bench.restore({ path }))).to.equal('file_missing');
    await rename(join(bench.chain.root, MARKER_NAME), join(bench.chain.root, 'gone'));
    const error = await failure(bench.restore({ path }));
    expect(error).to.include({ code: 'repository_unavailable', outcome: 'wait' });
    expect(await names(bench)).to.deep.equal([]);
  });

  describe('on a small file system', () => {
    let small: string;

    beforeEach(async () => {
      small = join(bench.target, 'small');
      await mkdir(small);
    });

    const onTmpfs = async (size: string, work: () => Promise<void>): Promise<void> => {
      await runTool('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'none', small);
      try {
        await work();
        expect(await runTool('ls', '-A', small)).to.equal('');
      } finally {
        await runTool('umount', small);
      }
    };

    it('to begin where the data cannot fit, with the figures', async () => {
      await onTmpfs('1m', async () => {
        const phases: string[] = [];
        const path = join(small, 'x.raw');
        const error = await failure(bench.restore({ path, report: ({ phase }) => phases.push(phase) }));
        expect(error).to.include({ code: 'no_space', outcome: 'wait' });
        expect(error.details).to.deep.include({ path: small, available_bytes: 1024 ** 2 });
        expect(error.details['needed_bytes']).to.be.within(1.5 * 1024 ** 2, 4 * 1024 ** 2);
        expect(phases).to.deep.equal([]);
      });
    });

    it('to leave anything behind when the room runs out in the middle', async () => {
      // VDI takes whole MiB where the guest has written 64 KiB.
      await onTmpfs('3m', async () => {
        expect(await codeOf(bench.restore({ path: join(small, basename('x.vdi')), format: 'vdi' }))).to.equal(
          'no_space',
        );
      });
    });
  });
});
