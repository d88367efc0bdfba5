import { EXPORT_FLAG, INFO, MAX_PAYLOAD } from './constants.js';
import { protocolError } from './errors.js';
import type { NbdBlockLimits, NbdExportFlags, NbdExportInfo } from './types.js';

const DEFAULT_LIMITS: NbdBlockLimits = { minimum: 1, preferred: 4096, maximum: MAX_PAYLOAD };

/**
 * The export from the NBD_REP_INFO replies to NBD_OPT_GO. Kinds that were not asked for are passed over.
 * @throws nbd_protocol_error if a reply is malformed, comes twice, or the size and flags are missing
 */
export function parseExportInfo(replies: readonly Buffer[]): NbdExportInfo {
  let found: Pick<NbdExportInfo, 'sizeBytes' | 'flags'> | undefined;
  let block: NbdBlockLimits | undefined;
  for (const reply of replies) {
    if (reply.length < 2) throw protocolError('An information reply has no type.');
    const type = reply.readUInt16BE(0);
    if (type === INFO.export) {
      if (found || reply.length !== 12) throw protocolError('The information about the export is malformed.');
      found = parseSizeAndFlags(reply, 2);
    } else if (type === INFO.blockSize) {
      if (block || reply.length !== 14)
        throw protocolError('The information about block sizes is malformed.');
      block = parseLimits(reply);
    }
  }
  if (!found) throw protocolError('The server did not tell the size of the export.');
  return { ...found, block: block ?? DEFAULT_LIMITS };
}

/** The export from the answer to NBD_OPT_EXPORT_NAME: size and flags only. */
export function parseExportNameAnswer(answer: Buffer): NbdExportInfo {
  return { ...parseSizeAndFlags(answer, 0), block: DEFAULT_LIMITS };
}

function parseSizeAndFlags(bytes: Buffer, at: number): Pick<NbdExportInfo, 'sizeBytes' | 'flags'> {
  const size = bytes.readBigUInt64BE(at);
  if (size > BigInt(Number.MAX_SAFE_INTEGER))
    throw protocolError('The export is larger than 2^53 bytes.', { size: size.toString() });
  return { sizeBytes: Number(size), flags: parseFlags(bytes.readUInt16BE(at + 8)) };
}

function parseFlags(bits: number): NbdExportFlags {
  const has = (flag: number) => (bits & flag) !== 0;
  return {
    readOnly: has(EXPORT_FLAG.readOnly),
    canFlush: has(EXPORT_FLAG.sendFlush),
    canFua: has(EXPORT_FLAG.sendFua),
    canTrim: has(EXPORT_FLAG.sendTrim),
    canWriteZeroes: has(EXPORT_FLAG.sendWriteZeroes),
    canFastZero: has(EXPORT_FLAG.sendFastZero),
    canMultiConn: has(EXPORT_FLAG.canMultiConn),
    canDf: has(EXPORT_FLAG.sendDf),
    rotational: has(EXPORT_FLAG.rotational),
  };
}

/** Sizes: the minimum is a power of two up to 64 KiB, the others are multiples of it (proto.md, "Block size constraints"). */
function parseLimits(reply: Buffer): NbdBlockLimits {
  const minimum = reply.readUInt32BE(2);
  const preferred = reply.readUInt32BE(6);
  const maximum = reply.readUInt32BE(10);
  const isUnlimited = maximum === 0xffffffff;
  if (!isPowerOfTwo(minimum) || minimum > 65536)
    throw protocolError('The minimum block size is impossible.', { minimum });
  if (!isPowerOfTwo(preferred) || preferred < minimum)
    throw protocolError('The preferred block size is impossible.', { preferred });
  if (!isUnlimited && (maximum < minimum || maximum % minimum !== 0))
    throw protocolError('The maximum block size is impossible.', { maximum });
  const usable = Math.min(maximum, MAX_PAYLOAD);
  return { minimum, preferred: Math.min(preferred, usable), maximum: usable };
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}
