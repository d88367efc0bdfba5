import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { createByteReader } from '../../../../src/datapath/nbd/byteReader.js';
import { OPTION } from '../../../../src/datapath/nbd/constants.js';
import { encodeOption, namedExport, readMessage } from '../../../../src/datapath/push/clientOptions.js';
import { codeOf } from '../../../helpers/codeOf.js';

const read = (bytes: Buffer) => {
  const reader = createByteReader(() => undefined);
  reader.data(bytes);
  reader.ended(new Error('no more'));
  return readMessage(reader);
};
const counted = (name: string, ...rest: number[]) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(name));
  return Buffer.concat([length, Buffer.from(name), Buffer.from(rest)]);
};

describe("A client's options", () => {
  it('are read as they were written', async () => {
    for (const [option, data] of [
      [OPTION.go, counted('name', 0, 0)],
      [OPTION.structuredReply, Buffer.alloc(0)],
      [0xfffffffe, randomBytes(100)],
    ] as const) {
      expect(await read(encodeOption(option, data))).to.deep.equal({ kind: 'option', option, data });
    }
  });

  it('end where requests begin', async () => {
    const begin = Buffer.from([0x25, 0x60, 0x95, 0x13]);
    expect(await read(Buffer.concat([begin, Buffer.alloc(24)]))).to.deep.equal({ kind: 'requests', begin });
  });

  it('are refused when they are malformed or too long', async () => {
    expect(await codeOf(read(Buffer.from('IHAVEOPX________')))).to.equal('nbd_protocol_error');
    const long = encodeOption(OPTION.go, Buffer.alloc(0));
    long.writeUInt32BE(65_537, 12);
    expect(await codeOf(read(long))).to.equal('nbd_protocol_error');
  });

  it('give the export a new name and leave the rest as it is', () => {
    for (const option of [OPTION.go, OPTION.info, OPTION.setMetaContext, OPTION.listMetaContext]) {
      const named = namedExport(option, counted('disk é', 1, 2, 3));
      expect(named?.name.toString()).to.equal('disk é');
      expect(named?.renamed('')).to.deep.equal(counted('', 1, 2, 3));
      expect(named?.renamed('ü')).to.deep.equal(counted('ü', 1, 2, 3));
    }
    expect(namedExport(OPTION.exportName, Buffer.from('disk'))?.renamed('')).to.deep.equal(Buffer.alloc(0));
    expect(namedExport(OPTION.list, Buffer.alloc(0))).to.equal(undefined);
  });

  it('never name more than they hold', () => {
    for (const data of [Buffer.alloc(0), Buffer.alloc(3), Buffer.from([0, 0, 0, 1]), Buffer.alloc(9, 0xff)]) {
      expect(() => namedExport(OPTION.go, data))
        .to.throw()
        .with.property('code', 'nbd_protocol_error');
    }
  });
});
