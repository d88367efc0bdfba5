import { readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { IMAGE_FORMATS, imageInfo, inspectUntrusted } from '../../../src/qcow2/index.js';
import { MiB, patch, randomImage, rejection, run, tempDir } from './images.js';

describe('inspectUntrusted', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  beforeEach(async () => {
    temp = await tempDir();
  });
  afterEach(() => temp.remove());

  const create = async (format: string, name: string, size: string, ...more: string[]): Promise<string> => {
    await run('qemu-img', ['create', '-q', '-f', format, ...more, temp.at(name), size]);
    return temp.at(name);
  };

  for (const format of IMAGE_FORMATS) {
    it(`describes an innocent ${format} image`, async () => {
      const path = await create(format, 'disk', '4M');
      expect(await inspectUntrusted(path, format)).to.include({ format, filename: path });
    });
  }

  it('refuses a QCOW2 image with a backing file, whether that exists or not', async () => {
    const path = await create('qcow2', 'disk', '4M', '-u', '-b', '/etc/passwd', '-F', 'raw');
    await rejection(inspectUntrusted(path, 'qcow2'), 'source_references_other_file');
    const gone = await create('qcow2', 'disk2', '4M', '-u', '-b', 'nbd://127.0.0.1:1/', '-F', 'raw');
    await rejection(inspectUntrusted(gone, 'qcow2'), 'source_references_other_file');
  });

  it('refuses a QCOW2 image with an external data file', async () => {
    const path = await create('qcow2', 'disk', '4M', '-o', `data_file=${temp.at('data')}`);
    await rejection(inspectUntrusted(path, 'qcow2'), 'source_references_other_file');
  });

  for (const format of ['qcow2', 'vmdk', 'vhdx', 'vdi', 'vpc'] as const) {
    it(`refuses garbage that is called ${format}`, async () => {
      await randomImage(temp.at('garbage'), MiB);
      const error = await inspectUntrusted(temp.at('garbage'), format).catch((caught: unknown) => caught);
      expect(error).to.have.property('code').that.is.oneOf(['unknown_format', 'source_missing']);
    });

    it(`refuses an empty file that is called ${format}`, async () => {
      await writeFile(temp.at('empty'), '');
      const error = await inspectUntrusted(temp.at('empty'), format).catch((caught: unknown) => caught);
      expect(error).to.have.property('code').that.is.oneOf(['unknown_format', 'source_missing']);
    });
  }

  it('refuses a QCOW2 image that is cut off in its header', async () => {
    const path = await create('qcow2', 'disk', '4M');
    await truncate(path, 60);
    await rejection(inspectUntrusted(path, 'qcow2'), 'unknown_format');
    await truncate(path, 90);
    await rejection(inspectUntrusted(path, 'qcow2'), 'source_missing');
  });

  it('refuses a QCOW2 header that claims exabytes', async () => {
    const path = await create('qcow2', 'disk', '4M');
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(4n << 60n);
    await patch(path, 24, size);
    await rejection(inspectUntrusted(path, 'qcow2'), 'source_missing');
    // With a table of first-level entries that would fit the size: 2^31 entries, 16 GiB.
    const entries = Buffer.alloc(4);
    entries.writeUInt32BE(2 ** 31);
    await patch(path, 36, entries);
    await rejection(inspectUntrusted(path, 'qcow2'), 'source_missing');
  });

  it('says source_missing for what is not there, and for a directory, a FIFO or a device that is no disk', async () => {
    await run('mkfifo', [temp.at('fifo')]);
    for (const path of [temp.at('nowhere'), temp.dir, temp.at('fifo'), '/dev/zero']) {
      await rejection(inspectUntrusted(path, 'raw'), 'source_missing');
    }
  });

  it('returns the extents of a VMDK in its own directory', async () => {
    const path = await create('vmdk', 'disk.vmdk', '3G', '-o', 'subformat=twoGbMaxExtentSparse');
    const info = await inspectUntrusted(path, 'vmdk');
    expect(info.extents?.map(({ filename }) => filename)).to.deep.equal([
      temp.at('disk-s001.vmdk'),
      temp.at('disk-s002.vmdk'),
    ]);
  });

  for (const name of ['/etc/passwd', '../disk.raw', 'nbd://127.0.0.1:1/', 'json:{}']) {
    it(`refuses a VMDK with the extent ${name}`, async () => {
      const path = await create('vmdk', 'disk.vmdk', '4M', '-o', 'subformat=monolithicFlat');
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace('disk-flat.vmdk', name));
      await rejection(inspectUntrusted(path, 'vmdk'), 'source_references_other_file');
    });
  }

  it('refuses an extent that is spread over lines, as QEMU would read it', async () => {
    const path = await create('vmdk', 'disk.vmdk', '4M', '-o', 'subformat=monolithicFlat');
    const text = await readFile(path, 'utf8');
    await writeFile(
      path,
      text.replace(/RW 8192 FLAT "disk-flat.vmdk" 0/, 'RW\n8192\nFLAT\n"/etc/hostname" 0'),
    );
    const seen = await imageInfo({ type: 'file', path, format: 'vmdk' });
    expect(seen.extents?.map(({ filename }) => filename)).to.deep.equal(['/etc/hostname']);
    await rejection(inspectUntrusted(path, 'vmdk'), 'source_references_other_file');
  });

  it('refuses a VMDK that is a delta of a parent', async () => {
    await create('vmdk', 'parent.vmdk', '4M');
    const path = await create('vmdk', 'delta.vmdk', '4M', '-b', temp.at('parent.vmdk'), '-F', 'vmdk');
    await rejection(inspectUntrusted(path, 'vmdk'), 'source_references_other_file');
  });

  it('refuses a VDI and a VHDX that are the difference to a parent, in words of our own', async () => {
    const vdi = await create('vdi', 'disk.vdi', '4M');
    await patch(vdi, 0x1a8, Buffer.alloc(16, 7));
    await rejection(inspectUntrusted(vdi, 'vdi'), 'source_references_other_file');
    const vhdx = await create('vhdx', 'disk.vhdx', '4M');
    // [MS-VHDX] 2.6.2.1: block size (8 MiB by default), then the flags; "has parent" is the second.
    const bytes = await readFile(vhdx);
    const flags = bytes.indexOf(Buffer.from('0000800000000000', 'hex'), 64 * 1024) + 4;
    await patch(vhdx, flags, Buffer.from([2]));
    await rejection(inspectUntrusted(vhdx, 'vhdx'), 'source_references_other_file');
  });

  it('refuses a VHDX whose blocks are beyond the end of its file', async () => {
    await randomImage(temp.at('raw'), 8 * MiB);
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vhdx', temp.at('raw'), temp.at('disk')]);
    const { size } = await stat(temp.at('disk'));
    await truncate(temp.at('disk'), size - 2 * MiB);
    await rejection(inspectUntrusted(temp.at('disk'), 'vhdx'), 'source_truncated');
  });

  it('refuses a QCOW2 image that is encrypted, with LUKS or the AES of old, once and by name', async () => {
    const secret = ['--object', 'secret,id=s,data=abc', '-o', 'encrypt.format=aes,encrypt.key-secret=s'];
    const path = await create('qcow2', 'disk', '4M', ...secret);
    await rejection(inspectUntrusted(path, 'qcow2'), 'source_encrypted');
    // crypt_method of the header; qemu-img takes seconds of CPU for a LUKS key.
    await patch(path, 32, Buffer.from([0, 0, 0, 2]));
    await rejection(inspectUntrusted(path, 'qcow2'), 'source_encrypted');
  });

  it('says of a LUKS volume that it can be backed up as raw', async () => {
    const path = temp.at('volume');
    await writeFile(
      path,
      Buffer.concat([Buffer.from('LUKS\xba\xbe\0\x01', 'latin1'), Buffer.alloc(MiB - 8, 7)]),
    );
    const error = await rejection(inspectUntrusted(path, 'qcow2'), 'unknown_format');
    expect(error.message).to.contain('format raw');
    expect((await inspectUntrusted(path, 'raw')).virtualSizeBytes).to.equal(MiB);
  });

  it('refuses a VMDK whose descriptor VMware has encrypted', async () => {
    await writeFile(temp.at('disk'), 'encryption.keySafe = "vmware:key/list/x"\nencryption.data = "x"\n');
    await rejection(inspectUntrusted(temp.at('disk'), 'vmdk'), 'source_encrypted');
  });

  it('follows a symbolic link to the image itself: where it may point is for the caller to say', async () => {
    await symlink(await create('raw', 'disk', '4M'), temp.at('link'));
    expect((await inspectUntrusted(temp.at('link'), 'raw')).virtualSizeBytes).to.equal(4 * MiB);
  });

  it('takes what exceeds its memory for source_too_complex', async () => {
    const path = await create('qcow2', 'disk', '4M');
    const ref = { type: 'file', path, format: 'qcow2' } as const;
    const limits = { addressSpaceBytes: 20 * MiB, cpuSeconds: 30 };
    const error = await imageInfo(ref, { limits }).catch((caught: unknown) => caught);
    expect(error).to.have.property('code', 'source_too_complex');
  });

  it('rejects with the reason of its signal', async () => {
    const path = await create('raw', 'disk', '4M');
    await rejection(inspectUntrusted(path, 'raw', { signal: AbortSignal.abort() }), 'cancelled');
  });
});
