import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkSource } from '../../../../src/services/backup/sourceRules.js';
import { acceptBackup } from '../../../../src/producers/accept/index.js';
import { makeDisk } from '../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { runTool } from '../../../helpers/runTool.js';
import { endedPoint, expectSame, save, told } from '../../../helpers/vmOfDisks.js';

const SIZE = 1024 * 1024;

describe('The path of a source', () => {
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet();
    fleet.work(1);
  });
  after(() => fleet.close());

  const longName = (byte: string, extension: string) => `${byte.repeat(255 - extension.length)}${extension}`;
  /** A file whose path has as many bytes as Linux allows, below directories with names that are as long as they may be. */
  const longest = async (extension: string): Promise<string> => {
    let directory = fleet.sources;
    while (4095 - Buffer.byteLength(directory) - 1 > 255 + 1) {
      const left = 4095 - Buffer.byteLength(directory) - 1;
      directory = join(directory, 'd'.repeat(Math.min(255, left - 1 - extension.length - 1)));
      await mkdir(directory, { recursive: true });
    }
    const left = 4095 - Buffer.byteLength(directory) - 1;
    return join(directory, `${'f'.repeat(left - extension.length)}${extension}`);
  };
  const backUp = async (name: string, path: string, format: 'raw' | 'qcow2', raw: string) => {
    const { restore_point_id, disk_results } = await acceptBackup(fleet.accept, {
      vm_name: name,
      repository_id: 'main',
      backup_type: 'full',
      disks: [{ disk_id: 0, source: { type: 'file', path, format } }],
    });
    const { backups } = await endedPoint(
      fleet,
      restore_point_id,
      disk_results.map(({ backup_id }) => backup_id),
    );
    const backup = backups[0];
    if (!backup) throw new RangeError('There is no backup.');
    expect(told(backup), backup.errorDetail ?? '').to.equal('full');
    await save(fleet, backup.id, raw);
    await expectSame(fleet, [backup]);
  };

  it('may have names of 255 bytes, in letters of several bytes too', async () => {
    const names = [
      longName('n', '.raw'),
      `${'é'.repeat(125)}-.raw`,
      'it\'s [a] 100% & \\ "name", so: {there}.raw',
    ];
    for (const [index, name] of names.entries()) {
      const path = join(fleet.sources, name);
      await makeDisk(path, SIZE, [[0, 300_000]]);
      await backUp(`name-${index}`, path, 'raw', path);
    }
  });

  it('may be as long as Linux has paths, raw and QCOW2', async function () {
    this.timeout(60_000);
    const raw = join(fleet.sources, 'plain.raw');
    await makeDisk(raw, SIZE, [[4096, 300_000]]);
    const deep = await longest('.raw');
    expect(Buffer.byteLength(deep)).to.equal(4095);
    await makeDisk(deep, SIZE, [[8192, 300_000]]);
    await backUp('deep-raw', deep, 'raw', deep);
    const short = join(fleet.sources, longName('q', '.qcow2'));
    await runTool('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, short);
    await backUp('long-qcow2', short, 'qcow2', raw);
    const deepImage = await longest('.qcow2');
    await copyFile(short, deepImage);
    await backUp('deep-qcow2', deepImage, 'qcow2', raw);
    await rm(deep);
  });

  it('is refused when it is longer, or outside, with what is allowed and how to allow more', () => {
    const check = (path: string) => () =>
      checkSource(
        { type: 'file', path, format: 'raw' },
        { sourceRoots: ['/disks', '/mnt/a'], nbdAllow: [] },
        's',
      );
    expect(check(`/disks/${'n'.repeat(256)}`)).to.throw(
      /A name in the path has 256 bytes; that of a source has 255/,
    );
    expect(check(`/disks${'/d'.repeat(2050)}`)).to.throw(
      /The path has 4106 bytes; that of a source has 4095/,
    );
    expect(check('/etc/shadow')).to.throw(
      /^\/etc\/shadow is not where a source may be: below STRATA_SOURCE_ROOTS \(\/disks, \/mnt\/a\)\. To allow more: strata up --allow PATH/,
    );
    expect(check('/disks2/x')).to.throw(/is not where a source may be/);
    expect(check('/disks/x')).not.to.throw();
  });
});
