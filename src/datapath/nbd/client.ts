import { constants } from 'node:buffer';
import { StrataError } from '../../shared/errors.js';
import { decodeStatus, type RawStatus, STATUS_WINDOW, statusOfRange } from './blockStatus.js';
import { COMMAND, COMMAND_FLAG, DIRTY_BITMAP_PREFIX } from './constants.js';
import type { Session } from './handshake.js';
import { eachPiece } from './pieces.js';
import { checkRange, checkWritable, createPerform, outOfBounds, type Perform } from './perform.js';
import type { Transmission } from './transmission.js';
import type { NbdClient, NbdExportInfo, NbdRequestOptions } from './types.js';
import { createZeroing } from './zeroing.js';

/** The operations on an export, over a transmission that carries them. */
export function createClient(session: Session, transmission: Transmission, maxInFlight: number): NbdClient {
  const { info, contexts } = session;
  const perform = createPerform(transmission);
  const readInto = createRead(info, perform, maxInFlight);
  const flush = createFlush(info, perform);
  const write = createWrite(info, perform, maxInFlight, flush);
  return {
    sizeBytes: info.sizeBytes,
    flags: info.flags,
    block: info.block,
    metaContexts: [...contexts.keys()],
    read: async (offset, length, options) => {
      checkRange(info, offset, length);
      if (length > constants.MAX_LENGTH)
        throw outOfBounds('The length is more than a buffer can hold.', offset, length);
      const target = Buffer.allocUnsafe(length);
      await readInto(offset, target, options);
      return target;
    },
    readInto,
    write,
    flush,
    ...createZeroing({ info, perform, maxInFlight, write }),
    ...createStatus(session, perform),
    close: () => transmission.close(),
    leave: (reason) => transmission.leave(reason),
    destroy: (reason) => transmission.destroy(reason),
  };
}

function createRead(info: NbdExportInfo, perform: Perform, lanes: number): NbdClient['readInto'] {
  return async (offset, target, options) => {
    checkRange(info, offset, target.length);
    await eachPiece({ offset, length: target.length }, info.block.maximum, lanes, async (at, length) => {
      const part = target.subarray(at - offset, at - offset + length);
      await perform(
        'to read',
        { command: COMMAND.read, flags: 0, offset: at, length, target: part },
        options,
      );
    });
  };
}

function createWrite(
  info: NbdExportInfo,
  perform: Perform,
  lanes: number,
  flush: NbdClient['flush'],
): NbdClient['write'] {
  return async (offset, data, options) => {
    checkWritable(info, offset, data.length);
    if (options?.fua && !info.flags.canFua && !info.flags.canFlush)
      throw new StrataError('nbd_refused', 'The NBD export can neither write through nor flush.');
    const flags = options?.fua && info.flags.canFua ? COMMAND_FLAG.fua : 0;
    await eachPiece({ offset, length: data.length }, info.block.maximum, lanes, async (at, length) => {
      const payload = data.subarray(at - offset, at - offset + length);
      await perform('to write', { command: COMMAND.write, flags, offset: at, length, payload }, options);
    });
    if (options?.fua && !info.flags.canFua) await flush(options);
  };
}

function createFlush(info: NbdExportInfo, perform: Perform): NbdClient['flush'] {
  return async (options) => {
    if (!info.flags.canFlush) return;
    await perform('to flush', { command: COMMAND.flush, flags: 0, offset: 0, length: 0 }, options);
  };
}

function createStatus(session: Session, perform: Perform): Pick<NbdClient, 'blockStatus' | 'statusExtents'> {
  const { info, contexts } = session;
  const ask = async (
    contextId: number,
    offset: number,
    wanted: number,
    options?: NbdRequestOptions,
  ): Promise<RawStatus> => {
    const length = Math.min(wanted, STATUS_WINDOW);
    const request = { command: COMMAND.blockStatus, flags: 0, offset, length, contextId };
    const answer = await perform('to tell the block status of', request, options);
    return { offset, length, descriptors: answer.status ?? Buffer.alloc(0) };
  };
  const idOf = (context: string): number => {
    const id = contexts.get(context);
    if (id !== undefined) return id;
    const code = context.startsWith(DIRTY_BITMAP_PREFIX) ? 'bitmap_missing' : 'nbd_refused';
    throw new StrataError(code, `The NBD connection has no meta context "${context}".`);
  };
  return {
    blockStatus: async (offset, length, context, options) => {
      const id = idOf(context);
      checkRange(info, offset, length);
      return length === 0 ? [] : [...decodeStatus(await ask(id, offset, length, options))];
    },
    statusExtents: async function* (context, options) {
      const id = idOf(context);
      const offset = options?.offset ?? 0;
      const length = options?.length ?? info.sizeBytes - offset;
      checkRange(info, offset, length);
      yield* statusOfRange({ offset, length }, info.block.minimum, (at, bytes) =>
        ask(id, at, bytes, options),
      );
    },
  };
}
