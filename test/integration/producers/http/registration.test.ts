import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { VmRegistered } from '../../../../src/contract/index.js';
import { MOST_DISK_BYTES } from '../../../../src/shared/diskSize.js';
import { runTool } from '../../../helpers/runTool.js';
import { writeVhd } from '../../../helpers/vhd.js';
import { fits, isProblem, openApi, type TestApi } from './support.js';

const MIB = 1024 * 1024;

describe('A registration', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
    await writeFile(at('good.raw'), Buffer.alloc(MIB, 7));
  });
  after(() => api.close());

  const at = (name: string) => join(api.fleet.sources, name);
  const register = (name: string, format: string) =>
    api.call('PUT', 'vms', {
      body: {
        vm_name: 'web',
        repository_id: 'main',
        disks: [{ disk_id: 4, source: { type: 'file', path: at(name), format } }],
      },
    });
  const warnings = async (name: string, format: string): Promise<string[]> => {
    const answer = await register(name, format);
    expect(answer.status, answer.text).to.equal(200);
    fits(VmRegistered, answer.body);
    const told = (answer.body.warnings ?? []) as { disk_id: number; code: string }[];
    return told.map(({ disk_id, code }) => `${disk_id} ${code}`);
  };

  it('says nothing of a source that is as stated', async () => {
    expect((await register('good.raw', 'raw')).body).not.to.have.property('warnings');
  });

  it('does not let a typing error pass until the first backup: nothing is there, a directory, another format', async () => {
    expect(await warnings('nothing.raw', 'raw')).to.deep.equal(['4 source_missing']);
    await mkdir(at('directory.raw'));
    expect(await warnings('directory.raw', 'raw')).to.deep.equal(['4 source_missing']);
    expect(await warnings('good.raw', 'qcow2')).to.deep.equal(['4 unknown_format']);
    for (const format of ['qcow2', 'vmdk', 'vhdx', 'vdi', 'vpc']) {
      await runTool('qemu-img', 'create', '-q', '-f', format, at(`disk.${format}`), '4M');
      expect(await warnings(`disk.${format}`, format)).to.deep.equal([]);
      expect(await warnings(`disk.${format}`, 'raw')).to.deep.equal([`4 looks_like_${format}`]);
    }
  });

  it('tells nothing of what lies beyond the roots, nor of another host', async () => {
    await symlink('/etc/passwd', at('link.raw'));
    await symlink('/etc/nothing', at('dangling.raw'));
    expect(await warnings('link.raw', 'raw')).to.deep.equal([]);
    expect(await warnings('dangling.raw', 'raw')).to.deep.equal([]);
    expect(await warnings('not/mounted/here.raw', 'raw')).to.deep.equal([]);
  });

  it('refuses at once what every backup would refuse, at its field, and changes nothing', async () => {
    await register('good.raw', 'raw');
    await writeVhd(at('child.vhd'), { creator: 'win ', content: Buffer.alloc(MIB), type: 4 });
    const secret = ['--object', 'secret,id=s,data=abc', '-o', 'encrypt.format=aes,encrypt.key-secret=s'];
    await runTool('qemu-img', 'create', '-q', '-f', 'qcow2', ...secret, at('secret.qcow2'), '4M');
    const backing = ['-b', at('good.raw'), '-F', 'raw'];
    await runTool('qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, at('overlay.qcow2'));
    for (const [name, format, code] of [
      ['child.vhd', 'vpc', 'source_references_other_file'],
      ['secret.qcow2', 'qcow2', 'source_encrypted'],
      ['overlay.qcow2', 'qcow2', 'source_references_other_file'],
    ] as const) {
      expect(isProblem(await register(name, format), 422, code)).to.deep.equal(['disks[0].source.path']);
    }
    const { body } = await api.call('GET', 'vms?vm_name=web');
    expect(body.items[0].disks[0].source.path).to.equal(at('good.raw'));
  });

  it('and a backup refuse a size that no format of a hypervisor holds', async () => {
    const disk = { disk_id: 0, source: { type: 'push' }, virtual_size: MOST_DISK_BYTES + 512 };
    const vm = { vm_name: 'big', repository_id: 'main', disks: [disk] };
    expect(isProblem(await api.call('PUT', 'vms', { body: vm }), 422, 'source_too_large')).to.deep.equal([
      'disks[0].virtual_size',
    ]);
    const backup = { ...vm, backup_type: 'full' };
    expect(
      isProblem(await api.call('POST', 'backups', { body: backup }), 422, 'source_too_large'),
    ).to.deep.equal(['disks[0].virtual_size']);
    const most = { ...vm, disks: [{ ...disk, virtual_size: MOST_DISK_BYTES }] };
    expect((await api.call('PUT', 'vms', { body: most })).status).to.equal(200);
  });
});
