// Numbers of the NBD protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md

/** First 8 bytes of every server: the text `NBDMAGIC`. */
export const NBD_MAGIC = 0x4e42444d41474943n;
/** Second 8 bytes of a newstyle server, and the first of every option: the text `IHAVEOPT`. */
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;

/** The port that IANA assigned to NBD. */
export const DEFAULT_PORT = 10809;

/** Handshake flags; the client echoes the same two bits. */
export const HANDSHAKE = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

export const OPTION_REPLY = { ack: 1, server: 2, info: 3, metaContext: 4 } as const;

/** Option replies with this bit are errors. */
export const OPTION_ERROR_BIT = 0x80000000;

export const OPTION_ERROR = {
  unsupported: 0x80000001,
  policy: 0x80000002,
  invalid: 0x80000003,
  platform: 0x80000004,
  tlsRequired: 0x80000005,
  unknown: 0x80000006,
  shutdown: 0x80000007,
  blockSizeRequired: 0x80000008,
  tooBig: 0x80000009,
} as const;

export const INFO = { export: 0, blockSize: 3 } as const;

export const EXPORT_FLAG = {
  hasFlags: 1,
  readOnly: 2,
  sendFlush: 4,
  sendFua: 8,
  rotational: 16,
  sendTrim: 32,
  sendWriteZeroes: 64,
  sendDf: 128,
  canMultiConn: 256,
  sendFastZero: 2048,
} as const;

export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export type Command = (typeof COMMAND)[keyof typeof COMMAND];

export const COMMAND_FLAG = { fua: 1, noHole: 2, fastZero: 16 } as const;

/** Flag of a structured chunk: the last one of its reply. */
export const CHUNK_DONE = 1;

export const CHUNK = { none: 0, offsetData: 1, offsetHole: 2, blockStatus: 5, errorOffset: 0x8002 } as const;

/** Chunk types with this bit are errors, also those that a client does not know. */
export const CHUNK_ERROR_BIT = 0x8000;

/** Error numbers on the wire; they are fixed by the protocol, whatever the server's operating system. */
export const NBD_ERRNO = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** The longest string that the protocol allows (names, queries, error texts), in bytes. */
export const MAX_STRING = 4096;
/** An NBD_REP_SERVER with the longest name and description has 8,196 bytes; nothing that we ask for is longer. */
export const MAX_OPTION_REPLY = 16384;
/** Replies to one option. nbdkit lists at most 10,000 exports; more is a server that tries to fill memory. */
export const MAX_OPTION_REPLIES = 16384;
/** Error chunk: 6 fixed bytes, the longest string, 8 bytes of offset, and room for what a later protocol may append. */
export const MAX_ERROR_CHUNK = 8192;
/** Error chunks in one reply. The protocol sets no limit, so that a hostile server could send them for ever. */
export const MAX_ERROR_CHUNKS = 64;
/** Descriptors in one block status chunk: nbdkit's own limit (qemu stays at 128 Ki); 8 MiB on the wire. */
export const MAX_STATUS_DESCRIPTORS = 1024 * 1024;
/** Separate pieces of one read that may wait for the gaps between them; bounds what a hostile server makes us remember. */
export const MAX_READ_FRAGMENTS = 65536;
/** Payload that a server must accept when it does not tell its limits, and the most that we put into one request. */
export const MAX_PAYLOAD = 32 * 1024 * 1024;

/** Flags of `base:allocation`. Zero says that the range reads as zeros; hole that it takes no room. */
export const ALLOCATION = { hole: 1, zero: 2 } as const;
export const BASE_ALLOCATION = 'base:allocation';

/** Flag of `qemu:dirty-bitmap:<name>` (qemu's docs/interop/nbd.txt). */
export const DIRTY_BITMAP = { dirty: 1 } as const;
export const DIRTY_BITMAP_PREFIX = 'qemu:dirty-bitmap:';
