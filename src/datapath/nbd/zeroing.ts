import { isStrataError, StrataError } from '../../shared/errors.js';
import { COMMAND, COMMAND_FLAG } from './constants.js';
import { checkWritable, type Perform } from './perform.js';
import { eachPiece } from './pieces.js';
import type { NbdClient, NbdExportInfo, NbdRequestOptions } from './types.js';

/**
 * Bytes per request that carries no data. More than `block.maximum`, which bounds payloads; small enough that a server which
 * really writes the zeros answers long before the request counts as lost. A multiple of every block size.
 */
const EFFECT_BYTES = 128 * 1024 * 1024;
/** Zeros per request for a server without the command. */
const ZEROS_BYTES = 1024 * 1024;

interface ZeroingParts {
  info: NbdExportInfo;
  perform: Perform;
  maxInFlight: number;
  write: NbdClient['write'];
}

/** Writing zeros and trimming: requests without data, of any length. */
export function createZeroing(parts: ZeroingParts): Pick<NbdClient, 'writeZeroes' | 'trim'> {
  const { info } = parts;
  const affect = createEffect(parts);
  return {
    writeZeroes: async (offset, length, options) => {
      checkWritable(info, offset, length);
      if (options?.fast && !info.flags.canFastZero)
        throw new StrataError('nbd_refused', 'The NBD export cannot zero fast.');
      if (!info.flags.canWriteZeroes) return writeZeros(parts, offset, length, options);
      const flags = (options?.noHole ? COMMAND_FLAG.noHole : 0) | (options?.fast ? COMMAND_FLAG.fastZero : 0);
      await affect('to zero', COMMAND.writeZeroes, flags, { offset, length }, options);
    },
    trim: async (offset, length, options) => {
      checkWritable(info, offset, length);
      if (!info.flags.canTrim) throw new StrataError('nbd_refused', 'The NBD export cannot trim.');
      await affect('to trim', COMMAND.trim, 0, { offset, length }, options);
    },
  };
}

/** Splits; a server whose limit for data holds here too (proto.md allows it to say EINVAL or EOVERFLOW) gets smaller requests from then on. */
function createEffect({ info, perform, maxInFlight }: ZeroingParts) {
  const small = info.block.maximum;
  let size = EFFECT_BYTES;

  return async (
    what: string,
    command: typeof COMMAND.writeZeroes | typeof COMMAND.trim,
    flags: number,
    range: { offset: number; length: number },
    options?: NbdRequestOptions,
  ): Promise<void> => {
    const send = async (offset: number, length: number): Promise<void> => {
      await perform(what, { command, flags, offset, length }, options);
    };
    await eachPiece(range, size, maxInFlight, async (offset, length) => {
      try {
        await send(offset, length);
      } catch (error) {
        if (length <= small || !isLengthRefused(error)) throw error;
        size = small;
        await eachPiece({ offset, length }, small, 1, send);
      }
    });
  };
}

function isLengthRefused(error: unknown): boolean {
  return (
    isStrataError(error, 'nbd_out_of_bounds', 'nbd_refused') &&
    (error.details.errno === 'EINVAL' || error.details.errno === 'EOVERFLOW')
  );
}

async function writeZeros(
  { info, maxInFlight, write }: ZeroingParts,
  offset: number,
  length: number,
  options?: NbdRequestOptions,
): Promise<void> {
  const size = Math.min(ZEROS_BYTES, info.block.maximum);
  const zeros = Buffer.alloc(Math.min(size, length));
  await eachPiece({ offset, length }, size, maxInFlight, (at, bytes) =>
    write(at, zeros.subarray(0, bytes), options?.signal ? { signal: options.signal } : {}),
  );
}
