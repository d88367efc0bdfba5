/** The part of the WebAssembly API that is used here: the types of Node 20 have none of it. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
};

/** Direct I/O wants addresses, offsets and lengths in multiples of the sector size; this is enough for every disk. */
export const DIRECT_ALIGNMENT = 4096;

/** WebAssembly memory comes in pages of this size. */
const PAGE_BYTES = 65536;
/** Each memory reserves gigabytes of addresses, so that several buffers share one. */
const BUFFERS_PER_MEMORY = 4;

/** Buffers that are aligned for direct I/O, to be taken and given back. Content is undefined. */
export interface AlignedBuffers {
  take(): Buffer;
  give(buffer: Buffer): void;
}

/**
 * @param bytes length of each buffer; a multiple of 65,536
 */
export function alignedBuffers(bytes: number): AlignedBuffers {
  const free: Buffer[] = [];
  const add = () => {
    // Node's own buffers lie 16 bytes after a page; the memory of a WebAssembly module begins at one.
    const pages = (bytes * BUFFERS_PER_MEMORY) / PAGE_BYTES;
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
    for (let i = 0; i < BUFFERS_PER_MEMORY; i++) free.push(Buffer.from(buffer, i * bytes, bytes));
  };
  const take = (): Buffer => {
    if (free.length === 0) add();
    return free.pop() ?? take();
  };
  return { take, give: (buffer) => void free.push(buffer) };
}
