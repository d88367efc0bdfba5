import { expect } from 'chai';
import {
  descriptorOffset,
  extentNames,
  opensNamedExtents,
  refuseForeignReferences,
} from '../../../src/qcow2/vmdkDescriptor.js';

function sparseHead(capacity: bigint, descriptorSector: bigint): Buffer {
  const head = Buffer.alloc(512);
  head.write('KDMV', 'latin1');
  head.writeBigUInt64LE(capacity, 12);
  head.writeBigUInt64LE(descriptorSector, 28);
  return head;
}

describe('the VMDK descriptor', () => {
  it('is the whole file, or lies where the sparse header says', () => {
    expect(descriptorOffset(Buffer.from('# Disk DescriptorFile\n'))).to.equal(0);
    expect(descriptorOffset(sparseHead(8192n, 1n))).to.equal(512);
    expect(descriptorOffset(sparseHead(8192n, 0n))).to.equal(undefined);
    expect(descriptorOffset(Buffer.from('KDMV'))).to.equal(undefined);
    expect(descriptorOffset(Buffer.from('COWD'))).to.equal(undefined);
  });

  it('makes QEMU open what it names, unless a sparse header has a capacity of its own', () => {
    expect(opensNamedExtents(Buffer.from('# Disk'))).to.equal(true);
    expect(opensNamedExtents(sparseHead(0n, 1n))).to.equal(true);
    expect(opensNamedExtents(sparseHead(8192n, 1n))).to.equal(false);
  });

  for (const [what, line] of [
    ['as VMware writes it', 'RW 8192 FLAT "a.vmdk" 0'],
    ['without blanks', 'RW 8192SPARSE"a.vmdk"'],
    ['after blanks', ' \t RW 8192 VMFSSPARSE "a.vmdk"'],
    ['over several lines', 'RW\n8192\r\nFLAT\n"a.vmdk" 0'],
    ['with a sign', 'RW -1 SESPARSE "a.vmdk"'],
  ] as const) {
    it(`names an extent ${what}`, () => {
      expect(extentNames(`# Disk DescriptorFile\nversion=1\n${line}\nddb.x = "y"\n`)).to.deep.equal([
        'a.vmdk',
      ]);
    });
  }

  it('does not take other settings for extents', () => {
    expect(extentNames('createType="RW 1 FLAT"\nddb.adapterType = "ide"\n')).to.deep.equal([]);
  });

  it('may not name a parent, nor a file beyond its directory', () => {
    for (const text of [
      'parentFileNameHint="a.vmdk"',
      'RW 1 FLAT "/a"',
      'RW 1 FLAT "b:a"',
      'RW 1 FLAT ".."',
    ]) {
      expect(() => refuseForeignReferences(text, true))
        .to.throw()
        .with.property('code', 'source_references_other_file');
    }
    expect(() => refuseForeignReferences('RW 1 FLAT "a-flat.vmdk" 0', true)).to.not.throw();
  });
});
