import { link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupAccepted, VmRegistered } from '../../../../src/contract/index.js';
import type { DiskSource } from '../../../../src/shared/sources.js';
import { attachLoop, MAY_ATTACH } from '../../../helpers/loopDevice.js';
import { runTool } from '../../../helpers/runTool.js';
import { fits, openApi, type TestApi } from './support.js';

const MIB = 1024 * 1024;

describe('Two disks that read the same', () => {
  let api: TestApi;
  let number = 0;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  const at = (name: string) => join(api.fleet.sources, name);
  const file = (path: string): DiskSource => ({ type: 'file', path, format: 'raw' });
  const nbd = (uri: string): DiskSource => ({ type: 'nbd', uri });
  const disk = async (): Promise<string> => {
    const path = at(`disk-${number++}.raw`);
    await writeFile(path, Buffer.alloc(MIB, number));
    return path;
  };
  const register = async (vm_name: string, sources: DiskSource[], more = {}) => {
    const disks = sources.map((source, disk_id) => ({ disk_id, source }));
    const answer = await api.call('PUT', 'vms', { body: { vm_name, repository_id: 'main', disks, ...more } });
    expect(answer.status, answer.text).to.equal(200);
    fits(VmRegistered, answer.body);
    return same(answer.body);
  };
  const backUp = async (vm_name: string, disks?: { disk_id: number; source?: DiskSource }[]) => {
    const body = { vm_name, repository_id: 'main', backup_type: 'full', ...(disks ? { disks } : {}) };
    const answer = await api.call('POST', 'backups', { body });
    expect(answer.status, answer.text).to.equal(202);
    fits(BackupAccepted, answer.body);
    return same(answer.body);
  };
  const same = (body: Record<string, unknown>) =>
    ((body.warnings ?? []) as { disk_id: number; code: string; message: string }[])
      .filter(({ code }) => code === 'same_source')
      .map(({ disk_id, message }) => `${disk_id}: ${message.replace(/\. Each.*/, '')}`);

  it('are said of one VM, in the registration and in the backup', async () => {
    const path = await disk();
    const said = [
      '0: It reads the same disk as disk 1 of the same VM',
      '1: It reads the same disk as disk 0 of the same VM',
    ];
    expect(await register('one', [file(path), file(path)])).to.deep.equal(said);
    expect(await backUp('one')).to.deep.equal(said);
  });

  it('are said of two VMs, whatever the path is called: a link, a hard link, another way through a directory', async () => {
    const path = await disk();
    await register('first', [file(path)]);
    await symlink(path, at('symbolic.raw'));
    await link(path, at('hard.raw'));
    await mkdir(at('real'));
    await symlink(at('.'), at('real/back'));
    for (const other of ['symbolic.raw', 'hard.raw', path.replace(at(''), at('real/back'))]) {
      const source = file(other.startsWith('/') ? other : at(other));
      const said = ['0: It reads the same disk as disk 0 of VM first'];
      expect(await register('second', [source]), other).to.deep.equal(said);
      expect(await backUp('second'), other).to.deep.equal(said);
    }
    expect(await backUp('third', [{ disk_id: 0, source: file(path) }])).to.deep.equal([
      '0: It reads the same disk as disk 0 of VM first, disk 0 of VM second',
    ]);
  });

  it('are said of a block device by its number, and not of a device that is another', async function () {
    if (!MAY_ATTACH) this.skip();
    const devices = await Promise.all([disk(), disk()].map(async (path) => attachLoop(await path)));
    const roots = [...api.fleet.accept.settings.sourceRoots];
    api.fleet.accept.settings.sourceRoots.push('/dev');
    try {
      const [one = '', two = ''] = devices.map(({ path }) => path);
      const minor = (await runTool('stat', '-c', '%Hr %Lr', one)).trim().split(' ');
      await runTool('mknod', at('node'), 'b', ...minor);
      await register('device', [file(one)]);
      expect(await register('node', [file(at('node'))])).to.deep.equal([
        '0: It reads the same disk as disk 0 of VM device',
      ]);
      expect(await register('node', [file(two)])).to.deep.equal([]);
    } finally {
      api.fleet.accept.settings.sourceRoots.splice(0, Infinity, ...roots);
      await Promise.all(devices.map((device) => device.detach()));
    }
  });

  it('are said of an NBD export, however its URI is written, and not of another export', async () => {
    await register('served', [nbd('nbd://127.0.0.1/a')]);
    expect(await register('again', [nbd('nbd://127.0.0.1:10809/a')])).to.have.length(1);
    expect(await register('again', [nbd('nbd://127.0.0.1:10809/b')])).to.deep.equal([]);
  });

  it('are not said of one disk in two repositories, of a disk that was retired, or of one that gets another number', async () => {
    const path = await disk();
    await register('twice', [file(path)]);
    expect(await register('twice', [file(path)])).to.deep.equal([]);
    expect(await register('twice', [file(await disk()), file(path)])).to.deep.equal([]);
    expect(await register('twice', [])).to.deep.equal([]);
    expect(await register('heir', [file(path)])).to.deep.equal([]);
  });
});
