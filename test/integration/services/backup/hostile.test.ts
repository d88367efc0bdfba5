import type { BackupCreate, BackupDiskCreate } from '../../../../src/contract/index.js';
import { symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DiskSource } from '../../../../src/shared/sources.js';
import { acceptBackup } from '../../../../src/producers/accept/index.js';
import { isStrataError } from '../../../../src/shared/errors.js';
import { makeDisk, overwrite } from '../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { runTool } from '../../../helpers/runTool.js';
import { writeVhd } from '../../../helpers/vhd.js';
import { namesBelow } from '../../../helpers/namesBelow.js';

const SIZE = 1024 * 1024;

describe('A hostile or mistaken request', () => {
  let fleet: TestFleet;
  let vms = 0;
  before(async () => {
    fleet = await openFleet();
    fleet.work();
    await makeDisk(at('good.raw'), SIZE, [[0, 4096]]);
    await makeDisk(join(fleet.suite.tempDir, 'outside.raw'), SIZE, [[0, 4096]]);
  });
  after(() => fleet.close());

  const at = (name: string) => join(fleet.sources, name);
  const file = (name: string, format = 'raw') => ({ type: 'file', path: at(name), format }) as DiskSource;
  /** The code with which the request is refused, or with which its job fails; `completed` if it does neither. */
  const outcome = async (
    disk: Partial<BackupDiskCreate>,
    body: Partial<BackupCreate> = {},
  ): Promise<string> => {
    try {
      const answer = await acceptBackup(fleet.accept, {
        vm_name: `vm${++vms}`,
        repository_id: 'main',
        backup_type: 'full',
        disks: [{ disk_id: 0, source: file('good.raw'), ...disk }],
        ...body,
      });
      const end = await fleet.ended(answer.disk_results[0]?.backup_id ?? '');
      return end.error_code ?? end.status;
    } catch (error) {
      if (isStrataError(error)) return `refused ${error.code} ${error.fields[0]?.field ?? ''}`.trim();
      throw error;
    }
  };

  it('whose image has a backing file is refused', async () => {
    await runTool(
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      join(fleet.suite.tempDir, 'outside.raw'),
      '-F',
      'raw',
      at('backed.qcow2'),
    );
    expect(await outcome({ source: file('backed.qcow2', 'qcow2') })).to.equal('source_references_other_file');
  });

  it('whose image has an external data file is refused', async () => {
    await runTool(
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-o',
      `data_file=${at('good.raw')},data_file_raw=on`,
      at('data.qcow2'),
      '1M',
    );
    expect(await outcome({ source: file('data.qcow2', 'qcow2') })).to.equal('source_references_other_file');
  });

  it('whose image is encrypted, a difference to a parent, or cut is refused after one attempt, and leaves the point before', async () => {
    const secret = ['--object', 'secret,id=s,data=abc', '-o', 'encrypt.format=aes,encrypt.key-secret=s'];
    await runTool('qemu-img', 'create', '-q', '-f', 'qcow2', ...secret, at('secret.qcow2'), '1M');
    await writeVhd(at('child.vhd'), { creator: 'win ', content: Buffer.alloc(SIZE), type: 4 });
    await makeDisk(at('full.raw'), SIZE, [[0, SIZE]]);
    await runTool('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', at('full.raw'), at('cut.qcow2'));
    const body = { vm_name: 'cut', disks: [{ disk_id: 0, source: file('cut.qcow2', 'qcow2') }] };
    expect(await outcome({}, body)).to.equal('completed');
    await truncate(at('cut.qcow2'), 300_000);
    expect(await outcome({}, body)).to.equal('source_truncated');
    expect(await outcome({ source: file('secret.qcow2', 'qcow2') })).to.equal('source_encrypted');
    expect(await outcome({ source: file('child.vhd', 'vpc') })).to.equal('source_references_other_file');
    const rows = await fleet.suite.ds.query<{ attempts: number; error_code: string | null }[]>(
      "SELECT attempts, error_code FROM backup_jobs WHERE error_code LIKE 'source_%' ORDER BY created_at DESC LIMIT 3",
    );
    expect(rows.map(({ attempts }) => Number(attempts))).to.deep.equal([1, 1, 1]);
    const kept = await fleet.suite.ds.query<unknown[]>(
      "SELECT b.id FROM backup_jobs b JOIN restore_points p ON p.id = b.restore_point_id JOIN vm_contexts v ON v.vm_context_id = p.vm_context_id WHERE v.vm_name = 'cut' AND b.status = 'completed'",
    );
    expect(kept).to.have.length(1);
  });

  it('whose image QEMU has marked as corrupt is not told to be sound', async () => {
    await runTool('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', at('full.raw'), at('corrupt.qcow2'));
    // The second of the incompatible features.
    await overwrite(at('corrupt.qcow2'), 79, Buffer.from([2]));
    const disks = [{ disk_id: 0, source: file('corrupt.qcow2', 'qcow2') }];
    expect(await outcome({}, { vm_name: 'corrupt', disks })).to.equal('completed');
    const [point] = await fleet.suite.ds.query<{ status: string; notes: unknown }[]>(
      "SELECT p.status, p.notes FROM restore_points p JOIN vm_contexts v ON v.vm_context_id = p.vm_context_id WHERE v.vm_name = 'corrupt'",
    );
    expect(point?.status).to.equal('completed_with_warnings');
    expect(JSON.stringify(point?.notes)).to.contain('source_corrupt');
  });

  it('whose VMDK descriptor names a file outside of the roots is refused', async () => {
    const descriptor = [
      '# Disk DescriptorFile',
      'version=1',
      'CID=fffffffe',
      'parentCID=ffffffff',
      'createType="monolithicFlat"',
      `RW ${SIZE / 512} FLAT "${join(fleet.suite.tempDir, 'outside.raw')}" 0`,
      '',
    ];
    await writeFile(at('evil.vmdk'), descriptor.join('\n'));
    expect(await outcome({ source: file('evil.vmdk', 'vmdk') })).to.equal('source_references_other_file');
  });

  it('whose path leads out of the roots, written so or by a symbolic link, is refused', async () => {
    expect(
      await outcome({ source: { type: 'file', path: `${fleet.sources}/../outside.raw`, format: 'raw' } }),
    ).to.equal('refused path_not_allowed disks[0].source.path');
    expect(await outcome({ source: { type: 'file', path: '/etc/passwd', format: 'raw' } })).to.equal(
      'refused path_not_allowed disks[0].source.path',
    );
    expect(await outcome({ source: { type: 'file', path: 'good.raw', format: 'raw' } })).to.equal(
      'refused path_not_allowed disks[0].source.path',
    );
    await symlink(join(fleet.suite.tempDir, 'outside.raw'), at('link.raw'));
    expect(await outcome({ source: file('link.raw') })).to.equal('path_not_allowed');
  });

  it('with a path traversal in the name of the VM leads nowhere: no directory has that name', async () => {
    for (const vm_name of ['../../etc', 'a/b', '..'])
      expect(await outcome({}, { vm_name })).to.equal('completed');
    expect(await outcome({}, { vm_name: 'x\0y' })).to.equal('refused invalid_name vm_name');
    const rows = await fleet.suite.ds.query<{ repository_path: string }[]>(
      "SELECT repository_path FROM backup_jobs WHERE status = 'completed'",
    );
    for (const { repository_path } of rows) {
      expect(repository_path)
        .to.match(/^[A-Za-z0-9_-]+\/disk-0\/[A-Za-z0-9_.-]+$/)
        .and.not.to.contain('..');
    }
  });

  it('with an unknown or a wrong format is refused', async () => {
    expect(await outcome({ source: file('good.raw', 'iso') })).to.equal(
      'refused unknown_format disks[0].source.format',
    );
    expect(await outcome({ source: file('good.raw', 'qcow2') })).to.be.oneOf([
      'unknown_format',
      'source_missing',
    ]);
  });

  it('never has its format guessed: a raw disk that begins like a QCOW2 is backed up as the bytes that it is', async () => {
    await runTool(
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      '/etc/passwd',
      '-F',
      'raw',
      '-u',
      at('looks.raw'),
      '1M',
    );
    await runTool('truncate', '-s', '1M', at('looks.raw'));
    expect(await outcome({ source: file('looks.raw', 'raw') })).to.equal('completed');
  });

  it('with a size that is no multiple of 512 bytes is refused', async () => {
    expect(await outcome({ virtual_size: 1000 })).to.equal('refused size_not_aligned disks[0].virtual_size');
    await makeDisk(at('odd.raw'), 1000, []);
    expect(await outcome({ source: file('odd.raw') })).to.equal('size_not_aligned');
  });

  it('whose stated size is not the size of the disk is refused', async () => {
    expect(await outcome({ virtual_size: SIZE * 2 })).to.equal('invalid_request');
  });

  it('with extents beyond the end, negative or empty is refused, early or late', async () => {
    expect(await outcome({ virtual_size: SIZE, changed_extents: [{ offset: SIZE, length: 1 }] })).to.equal(
      'refused extents_out_of_range disks[0].changed_extents[0]',
    );
    expect(await outcome({ changed_extents: [{ offset: 0, length: 0 }] })).to.equal(
      'refused extents_invalid disks[0].changed_extents[0]',
    );
    const vm_name = 'late';
    expect(await outcome({ change_id: 'c1' }, { vm_name })).to.equal('completed');
    const late = { since_change_id: 'c1', changed_extents: [{ offset: SIZE - 512, length: 1024 }] };
    expect(await outcome(late, { vm_name, backup_type: 'incremental' })).to.equal('extents_out_of_range');
    expect(
      await outcome(
        { since_change_id: 'c1', changed_extents: [{ offset: 0, length: 512 }] },
        { vm_name, backup_type: 'incremental' },
      ),
      'the chain goes on',
    ).to.equal('completed');
  });

  it('for an NBD server that is not allowed is refused', async () => {
    expect(await outcome({ source: { type: 'nbd', uri: 'nbd://10.1.2.3:10809/x' } })).to.be.oneOf([
      'nbd_not_allowed',
      'refused nbd_not_allowed disks[0].source.uri',
    ]);
    expect(await outcome({ source: { type: 'nbd', uri: 'http://x/' } })).to.equal(
      'refused invalid_request disks[0].source.uri',
    );
    expect(
      await outcome({ source: { type: 'nbd', uri: 'nbd+unix:///?socket=/run/other.sock' } }),
    ).to.be.oneOf(['nbd_not_allowed', 'refused nbd_not_allowed disks[0].source.uri']);
  });

  it('leaves no half-written file in the repository, whatever it was', async () => {
    const names = await namesBelow(fleet.repositoryRoot);
    expect(names.filter((name) => name.endsWith('.partial'))).to.deep.equal([]);
  });
});
