import { expect } from 'chai';
import { COMMAND, type Command } from '../../../../src/datapath/nbd/constants.js';
import type { Expectation } from '../../../../src/datapath/nbd/expectation.js';
import { createReplyParser } from '../../../../src/datapath/nbd/replyParser.js';
import {
  chunk,
  DONE,
  dataChunk,
  errorChunk,
  holeChunk,
  noneChunk,
  simpleReply,
  statusChunk,
  u32,
  u64,
} from '../../../helpers/nbdWire.js';

/** A parser with one outstanding request, cookie 7, over bytes 1000 to 1100 of an export of 1200 bytes; context 3 wanted, 4 granted. */
function expecting(command: Command, structured = true) {
  const target = Buffer.alloc(100, 0xee);
  const expectation: Expectation = {
    command,
    offset: 1000,
    length: 100,
    contextId: 3,
    ...(command === COMMAND.read ? { target } : {}),
  };
  const outstanding = new Map([[7, expectation]]);
  const parser = createReplyParser({
    rules: { structured, sizeBytes: 1200, contextIds: new Set([3, 4]) },
    find: (cookie) => outstanding.get(cookie),
    done: (_, cookie) => outstanding.delete(cookie),
  });
  return { parser, target, expectation, isDone: () => outstanding.size === 0 };
}

const bytes = (length: number, value = 1) => Buffer.alloc(length, value);

describe('Reply parser', () => {
  it('puts the data of a simple reply into the target', () => {
    const { parser, target, isDone } = expecting(COMMAND.read, false);
    parser.push(simpleReply(7, 0, bytes(100, 5)));
    expect(isDone()).to.equal(true);
    expect(target.equals(bytes(100, 5))).to.equal(true);
  });

  it('takes the chunks of a read in any order, cut at every byte', () => {
    const { parser, target, isDone } = expecting(COMMAND.read);
    const stream = Buffer.concat([
      dataChunk(7, 1060, bytes(40, 3)),
      holeChunk(7, 1020, 40),
      dataChunk(7, 1000, bytes(20, 1)),
      noneChunk(7),
    ]);
    for (const byte of stream) parser.push(Buffer.from([byte]));
    expect(isDone()).to.equal(true);
    expect(target.equals(Buffer.concat([bytes(20, 1), bytes(40, 0), bytes(40, 3)]))).to.equal(true);
  });

  it('offers the rest of the target for reading straight into it', () => {
    const { parser, target, isDone } = expecting(COMMAND.read);
    const stream = dataChunk(7, 1000, bytes(100, 9), DONE);
    expect(parser.directTarget()).to.equal(undefined);
    parser.push(stream.subarray(0, 38));
    const rest = parser.directTarget();
    expect(rest?.length).to.equal(90);
    rest?.fill(9);
    parser.directFilled(60);
    expect(isDone()).to.equal(false);
    parser.directFilled(30);
    expect(isDone()).to.equal(true);
    expect(target.equals(bytes(100, 9))).to.equal(true);
    expect(parser.directTarget()).to.equal(undefined);
  });

  it('keeps the first error of a reply, its text and its offset', () => {
    const { parser, expectation, isDone } = expecting(COMMAND.read);
    parser.push(errorChunk(7, 5, 'bad\nsector', 0, 1010));
    parser.push(errorChunk(7, 28, 'later', 0));
    parser.push(dataChunk(7, 1050, bytes(50), DONE));
    expect(isDone()).to.equal(true);
    expect(expectation.failure).to.deep.equal({ errno: 5, message: 'bad sector', offset: 1010 });
  });

  it('takes an unknown kind of error chunk for an error', () => {
    const { parser, expectation } = expecting(COMMAND.flush);
    parser.push(
      chunk(7, 0x8fff, DONE, Buffer.concat([u32(22), Buffer.from([0, 2]), Buffer.from('no'), u64(0)])),
    );
    expect(expectation.failure).to.deep.equal({ errno: 22, message: 'no' });
  });

  it('keeps the block status of the wanted context, the last extent reaching beyond the request', () => {
    const { parser, expectation, isDone } = expecting(COMMAND.blockStatus);
    parser.push(statusChunk(7, 4, [[100, 1]], 0));
    parser.push(
      statusChunk(7, 3, [
        [60, 0],
        [140, 3],
      ]),
    );
    expect(isDone()).to.equal(true);
    expect(expectation.status?.toString('hex')).to.equal('0000003c000000000000008c00000003');
  });

  it('accepts a structured and a simple success for a write', () => {
    for (const reply of [simpleReply(7), noneChunk(7)]) {
      const { parser, isDone } = expecting(COMMAND.write);
      parser.push(reply);
      expect(isDone()).to.equal(true);
    }
  });

  const hostile: [string, Command, Buffer, boolean?][] = [
    ['a wrong magic number', COMMAND.read, Buffer.from('deadbeef', 'hex')],
    ['a structured reply that was not negotiated', COMMAND.read, noneChunk(7), false],
    ['an unknown cookie', COMMAND.write, simpleReply(8)],
    ['a cookie whose upper half differs', COMMAND.write, simpleReply(0x1_0000_0007n)],
    ['an unknown cookie in a chunk', COMMAND.read, dataChunk(6, 1000, bytes(100), DONE)],
    ['a second reply for the same cookie', COMMAND.write, Buffer.concat([simpleReply(7), simpleReply(7)])],
    [
      'a chunk after the last one',
      COMMAND.read,
      Buffer.concat([dataChunk(7, 1000, bytes(100), DONE), noneChunk(7)]),
    ],
    ['a simple success for a read when replies are structured', COMMAND.read, simpleReply(7, 0, bytes(100))],
    ['a read that ends without data', COMMAND.read, noneChunk(7)],
    [
      'a read with a gap',
      COMMAND.read,
      Buffer.concat([dataChunk(7, 1000, bytes(50)), dataChunk(7, 1051, bytes(49), DONE)]),
    ],
    ['a read without its last byte', COMMAND.read, dataChunk(7, 1000, bytes(99), DONE)],
    ['data before the range', COMMAND.read, dataChunk(7, 999, bytes(50))],
    ['data that ends after the range', COMMAND.read, dataChunk(7, 1051, bytes(50))],
    ['data at an offset above 2^53', COMMAND.read, dataChunk(7, 2n ** 64n - 1n, bytes(50))],
    ['data longer than the request', COMMAND.read, chunk(7, 1, 0, u64(1000), 0xffffffff)],
    ['empty data', COMMAND.read, dataChunk(7, 1000, bytes(0))],
    ['a data chunk without room for its offset', COMMAND.read, chunk(7, 1, 0, bytes(4))],
    [
      'overlapping data',
      COMMAND.read,
      Buffer.concat([dataChunk(7, 1000, bytes(50)), dataChunk(7, 1049, bytes(51), DONE)]),
    ],
    [
      'a hole over data',
      COMMAND.read,
      Buffer.concat([dataChunk(7, 1000, bytes(50)), holeChunk(7, 1000, 100, DONE)]),
    ],
    ['a hole outside the range', COMMAND.read, holeChunk(7, 1000, 101)],
    ['a hole of 4 GiB', COMMAND.read, holeChunk(7, 1000, 0xffffffff)],
    ['an empty hole', COMMAND.read, holeChunk(7, 1000, 0)],
    ['a hole chunk of a wrong length', COMMAND.read, chunk(7, 2, 0, bytes(13))],
    ['an empty chunk with content', COMMAND.read, chunk(7, 0, DONE, bytes(1))],
    ['an empty chunk that is not the last', COMMAND.write, chunk(7, 0, 0)],
    ['a chunk of unknown type', COMMAND.read, chunk(7, 99, DONE)],
    ['data for a write', COMMAND.write, dataChunk(7, 1000, bytes(100), DONE)],
    ['a hole for a flush', COMMAND.flush, holeChunk(7, 1000, 100, DONE)],
    ['block status for a read', COMMAND.read, statusChunk(7, 3, [[100, 0]])],
    ['block status without an answer', COMMAND.blockStatus, noneChunk(7)],
    ['a simple success for block status', COMMAND.blockStatus, simpleReply(7)],
    ['block status of another context only', COMMAND.blockStatus, statusChunk(7, 4, [[100, 0]])],
    ['block status of an unknown context', COMMAND.blockStatus, statusChunk(7, 5, [[100, 0]])],
    [
      'block status twice for a context',
      COMMAND.blockStatus,
      Buffer.concat([statusChunk(7, 3, [[100, 0]], 0), statusChunk(7, 3, [[100, 0]])]),
    ],
    [
      'block status with an empty extent',
      COMMAND.blockStatus,
      statusChunk(7, 3, [
        [50, 0],
        [0, 0],
      ]),
    ],
    ['block status without extents', COMMAND.blockStatus, statusChunk(7, 3, [])],
    [
      'block status that goes on after the range',
      COMMAND.blockStatus,
      statusChunk(7, 3, [
        [100, 0],
        [1, 0],
      ]),
    ],
    ['block status beyond the export', COMMAND.blockStatus, statusChunk(7, 3, [[201, 0]])],
    ['block status with half an extent', COMMAND.blockStatus, chunk(7, 5, DONE, bytes(16))],
    ['a block status bomb', COMMAND.blockStatus, chunk(7, 5, DONE, u32(3), 0xfffffffc)],
    ['an error bomb', COMMAND.read, chunk(7, 0x8001, DONE, bytes(0), 0xffffffff)],
    ['an error chunk that is too short', COMMAND.read, chunk(7, 0x8001, DONE, bytes(5))],
    ['an error chunk without an error', COMMAND.read, errorChunk(7, 0, 'fine')],
    [
      'an error text longer than its chunk',
      COMMAND.read,
      chunk(7, 0x8001, DONE, Buffer.concat([u32(5), Buffer.from([0, 9]), bytes(8)])),
    ],
    [
      'an error chunk without room for its offset',
      COMMAND.read,
      chunk(7, 0x8002, DONE, Buffer.concat([u32(5), Buffer.from([0, 0])])),
    ],
    ['an error offset outside the request', COMMAND.read, errorChunk(7, 5, '', DONE, 1100)],
    [
      'endless error chunks',
      COMMAND.read,
      Buffer.concat(Array.from({ length: 65 }, () => errorChunk(7, 5, '', 0))),
    ],
  ];
  for (const [what, command, stream, structured] of hostile) {
    it(`answers ${what} with nbd_protocol_error, and never works again`, () => {
      const { parser } = expecting(command, structured);
      expect(() => parser.push(stream))
        .to.throw()
        .with.property('code', 'nbd_protocol_error');
      expect(() => parser.push(simpleReply(7)))
        .to.throw()
        .with.property('code', 'nbd_protocol_error');
      expect(parser.directTarget()).to.equal(undefined);
    });
  }
});
