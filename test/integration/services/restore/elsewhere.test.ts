import { expect } from 'chai';
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../../../helpers/codeOf.js';
import { type ChainFixture, buildChain, PLAIN_CHAIN } from '../../../helpers/chainFixture.js';
import { loopOver } from '../../../helpers/loopDevices.js';
import { unmountBelow } from '../../../helpers/mounts.js';
import { startSwapper } from '../../../helpers/swapper.js';
import { runTool } from '../../../helpers/runTool.js';
import { openBench, type RestoreBench } from './support.js';
import { namesBelow } from '../../../helpers/namesBelow.js';

describe('a restore lands nowhere else', function () {
  this.timeout(120_000);
  let bench: RestoreBench;

  beforeEach(async () => {
    bench = await openBench(PLAIN_CHAIN);
  });

  afterEach(() => bench.close());

  describe('than outside of all repositories:', () => {
    let other: ChainFixture;

    beforeEach(async () => {
      const directory = join(bench.suite.tempDir, 'other');
      await mkdir(directory);
      other = await buildChain(bench.ds, directory);
      await bench.ds.query(`UPDATE repositories SET pool = 'elsewhere' WHERE id = ?`, [other.repositoryId]);
    });

    /** Nothing is written, although the directory is one that restores may write to. */
    const expectRefused = async (path: string, root: string = bench.suite.tempDir): Promise<void> => {
      const list = () => namesBelow(other.root);
      const before = await list();
      expect(await codeOf(bench.restore({ path, roots: [root, '/dev'] })), path).to.equal('path_not_allowed');
      expect(await list()).to.deep.equal(before);
    };

    it('not in one of another pool, nor by a link or "..", nor where it is not mounted now', async () => {
      await expectRefused(join(other.root, 'x.raw'));
      await expectRefused(join(other.directory, 'x.raw'));
      await expectRefused(
        `${bench.target}/../other/${other.root.slice(other.root.lastIndexOf('/') + 1)}/x.raw`,
      );
      await symlink(other.directory, join(bench.target, 'link'));
      await expectRefused(join(bench.target, 'link', 'x.raw'));
      await rename(other.root, `${other.root}.away`);
      await mkdir(other.root);
      await expectRefused(join(other.root, 'x.raw'), other.root);
      await rm(other.root, { recursive: true });
      await rename(`${other.root}.away`, other.root);
    });

    it('not in one whose root is registered by a link', async () => {
      const link = join(bench.suite.tempDir, 'registered');
      await symlink(other.root, link);
      await bench.ds.query('UPDATE repositories SET root_path = ? WHERE id = ?', [link, other.repositoryId]);
      await expectRefused(join(other.directory, 'x.raw'));
    });

    it('not by a mount of it, or of a directory of it, at another place', async () => {
      for (const part of [other.root, other.directory]) {
        const point = join(bench.target, 'point');
        await mkdir(point);
        await runTool('mount', '--bind', part, point);
        try {
          await expectRefused(join(point, 'x.raw'), bench.target);
        } finally {
          await unmountBelow(point);
        }
        await rm(point, { recursive: true });
      }
    });

    it('not in one of another installation, which its marker tells', async () => {
      await bench.ds.query('UPDATE repositories SET root_path = ? WHERE id = ?', [
        '/nowhere',
        other.repositoryId,
      ]);
      await expectRefused(join(other.directory, 'x.raw'));
    });

    it('not into an image of it, by a loop device', async () => {
      const image = other.backups[0]?.image ?? '';
      await runTool('truncate', '-s', '64M', image);
      const before = await readFile(image);
      const device = await loopOver(image);
      try {
        await expectRefused(device.path);
      } finally {
        await device.detach();
      }
      expect((await readFile(image)).equals(before)).to.equal(true);
    });
  });

  describe('than in the directory that was looked at:', () => {
    let outside: string;
    let moved: string;

    beforeEach(async () => {
      outside = join(bench.suite.tempDir, 'outside');
      moved = join(bench.suite.tempDir, 'moved');
      await mkdir(outside);
    });

    const exchange = async (): Promise<void> => {
      await rename(bench.target, moved);
      await symlink(outside, bench.target);
    };

    const expectNothing = async (): Promise<void> => {
      expect(await readdir(outside)).to.deep.equal([]);
      expect(await readdir(moved)).to.deep.equal([]);
    };

    for (const phase of ['restoring', 'verifying']) {
      it(`exchanged for a link while it is ${phase}, it gets no result, nor does the link`, async () => {
        let exchanged: Promise<void> | undefined;
        const path = join(bench.target, 'x.raw');
        const report = (progress: { phase: string }) => {
          if (progress.phase === phase) exchanged ??= exchange();
        };
        expect(await codeOf(bench.restore({ path, report }))).to.equal('target_changed');
        await exchanged;
        await expectNothing();
      });
    }

    it('a directory above it exchanged for a link to a copy, nothing comes to be in either', async () => {
      const above = join(bench.target, 'above');
      await mkdir(join(above, 'deep'), { recursive: true });
      await mkdir(join(outside, 'deep'));
      let exchanged: Promise<void> | undefined;
      const report = () => {
        exchanged ??= rename(above, moved).then(() => symlink(outside, above));
      };
      expect(await codeOf(bench.restore({ path: join(above, 'deep', 'x.raw'), report }))).to.equal(
        'target_changed',
      );
      await exchanged;
      expect(await readdir(join(outside, 'deep'))).to.deep.equal([]);
      expect(await readdir(join(moved, 'deep'))).to.deep.equal([]);
    });

    it('moved in the moment before the file gets its name, nothing stays in it', async () => {
      const path = join(bench.target, 'x.raw');
      const jobId = await bench.add({ path });
      const work = bench.attempt(jobId, {
        held: (held) => ({
          ...held,
          assertHeld: async () => {
            await held.assertHeld();
            await exchange();
          },
        }),
      });
      expect(await codeOf(work)).to.equal('target_changed');
      await expectNothing();
    });

    it('its temporary directory exchanged for a link, what the link leads to is left alone', async () => {
      const path = join(bench.target, 'x.raw');
      await writeFile(join(outside, 'x.raw'), 'precious');
      let exchanged: Promise<void> | undefined;
      const swap = async () => {
        const [name = ''] = (await readdir(bench.target)).filter((one) => one.endsWith('.partial'));
        await rename(join(bench.target, name), moved);
        await symlink(outside, join(bench.target, name));
      };
      const report = ({ phase }: { phase: string }) => {
        if (phase === 'verifying') exchanged ??= swap();
      };
      await bench.restore({ path, report });
      await exchanged;
      expect(await readFile(join(outside, 'x.raw'), 'utf8')).to.equal('precious');
      expect(await readdir(bench.target)).to.deep.equal(['x.raw']);
      expect((await readFile(path)).equals(bench.at(4).content)).to.equal(true);
    });

    it('exchanged all the time by another program, it gets the whole result or none, and the link leads to nothing', async () => {
      const inner = join(bench.target, 'inner');
      const link = join(bench.target, 'link');
      await mkdir(inner);
      await symlink(outside, link);
      const codes: string[] = [];
      const completed: string[] = [];
      const swapper = await startSwapper(inner, link);
      try {
        for (let round = 0; round < 12; round++) {
          const name = `x-${round}.raw`;
          const code = await codeOf(bench.restore({ path: join(inner, name) }));
          codes.push(code);
          if (code === 'no error') completed.push(name);
        }
      } finally {
        await swapper.stop();
      }
      const allowed = ['no error', 'target_changed', 'path_not_allowed', 'invalid_request'];
      expect(allowed).to.include.members(codes);
      expect(await readdir(outside)).to.deep.equal([]);
      expect((await readdir(inner)).toSorted(), codes.join(' ')).to.deep.equal(completed.toSorted());
    });

    it('a link in the place of what a dead attempt has left is not followed to be removed', async () => {
      const path = join(bench.target, 'x.raw');
      const jobId = await bench.add({ path });
      await writeFile(join(outside, 'x.raw'), 'precious');
      await symlink(outside, join(bench.target, `.x.raw.${jobId}.1.partial`));
      await bench.attempt(jobId, {});
      expect(await readFile(join(outside, 'x.raw'), 'utf8')).to.equal('precious');
      expect(await readdir(bench.target)).to.deep.equal(['x.raw']);
    });
  });
});
