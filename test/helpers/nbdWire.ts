// Bytes of NBD replies, written from proto.md independently of src/datapath/nbd.

export const DONE = 1;

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function simpleReply(cookie: number | bigint, errno = 0, data: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([u32(0x67446698), u32(errno), u64(cookie), data]);
}

export function chunk(
  cookie: number | bigint,
  type: number,
  flags: number,
  payload: Buffer = Buffer.alloc(0),
  length = payload.length,
): Buffer {
  return Buffer.concat([u32(0x668e33ef), u16(flags), u16(type), u64(cookie), u32(length), payload]);
}

export const noneChunk = (cookie: number) => chunk(cookie, 0, DONE);

export function dataChunk(cookie: number, offset: number | bigint, data: Buffer, flags = 0): Buffer {
  return chunk(cookie, 1, flags, Buffer.concat([u64(offset), data]));
}

export function holeChunk(cookie: number, offset: number | bigint, length: number, flags = 0): Buffer {
  return chunk(cookie, 2, flags, Buffer.concat([u64(offset), u32(length)]));
}

export function statusChunk(
  cookie: number,
  contextId: number,
  pairs: [number, number][],
  flags = DONE,
): Buffer {
  return chunk(cookie, 5, flags, Buffer.concat([u32(contextId), ...pairs.flatMap((pair) => pair.map(u32))]));
}

export function errorChunk(cookie: number, errno: number, text = '', flags = DONE, offset?: number): Buffer {
  const message = Buffer.from(text);
  const fixed = Buffer.concat([u32(errno), u16(message.length), message]);
  if (offset === undefined) return chunk(cookie, 0x8001, flags, fixed);
  return chunk(cookie, 0x8002, flags, Buffer.concat([fixed, u64(offset)]));
}

export function optionReply(
  option: number,
  type: number,
  payload: Buffer = Buffer.alloc(0),
  length = payload.length,
): Buffer {
  return Buffer.concat([u64(0x0003e889045565a9n), u32(option), u32(type), u32(length), payload]);
}

export function exportInfo(size: number | bigint, flags: number): Buffer {
  return Buffer.concat([u16(0), u64(size), u16(flags)]);
}

export function blockSizeInfo(minimum: number, preferred: number, maximum: number): Buffer {
  return Buffer.concat([u16(3), u32(minimum), u32(preferred), u32(maximum)]);
}

export function greeting(flags = 3): Buffer {
  return Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), u16(flags)]);
}
