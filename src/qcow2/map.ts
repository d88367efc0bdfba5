import { asStrataError, StrataError } from '../shared/errors.js';
import { type ImageRef, openArgs } from './imageRef.js';
import {
  countField,
  flagField,
  type JsonObject,
  jsonObject,
  optionalField,
  parseToolJson,
} from './toolJson.js';
import type { ToolCall } from './toolCall.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';
import { checkExit, startTool } from './toolProcess.js';

/** A range of the guest disk, in bytes, that is all of one kind. */
export interface MapExtent {
  start: number;
  length: number;
  /** How far down the chain the range comes from: 0 is the image itself. */
  depth: number;
  /** Reads as zero. */
  zero: boolean;
  /** Holds data. */
  data: boolean;
  /** Some file of the chain says what the range holds; absent in old QEMU. */
  present?: boolean;
  /** Where the data is in its file, if it is stored there as it is. */
  offset?: number;
}

/** One extent takes about 130 characters; a hundred times as much without an end is no map. */
const MAX_EXTENT_CHARS = 16384;

export interface MapOptions extends ToolOptions {
  /** Where to begin, in bytes of the guest disk; 0 by default. */
  startOffset?: number;
}

/**
 * Lists the extents of an image in order, by `qemu-img map`. Memory does not grow with the image: the tool waits on its
 * pipe while the caller works. Leaving the loop early stops the tool.
 */
export async function* mapImage(ref: ImageRef, options: MapOptions = {}): AsyncGenerator<MapExtent, void> {
  const { objects, format, name, foreign } = openArgs(ref, 'tls0');
  const from = options.startOffset ? [`--start-offset=${options.startOffset}`] : [];
  const call: ToolCall = {
    tool: 'qemu-img',
    args: ['map', ...objects, '--output=json', ...from, '-f', format, name],
    deadlineMs: DEADLINES.wholeImage,
    ...(foreign ? { foreign } : {}),
  };
  const running = startTool(call, options);
  let done = false;
  let broken: Error | undefined;
  try {
    yield* parseExtents(running.stdout);
    done = true;
  } catch (error) {
    broken = asStrataError(error);
  } finally {
    if (!done) running.stop(broken ?? new StrataError('cancelled', 'The reader of the map left early.'));
    await running.exited;
  }
  // Not reached by a reader that left early. Text that breaks off is the consequence of a stop or failure, if there was one.
  const exit = await running.exited;
  const failedByItself = exit.stopped === broken && exit.exitCode !== undefined && exit.exitCode > 0;
  checkExit(call, failedByItself ? { ...exit, stopped: undefined } : exit, options);
}

/**
 * Splits `[{...},\n{...}]` into its flat objects as the text arrives.
 * @throws tool_output_invalid for anything else
 */
export async function* parseExtents(text: AsyncIterable<string>): AsyncGenerator<MapExtent, void> {
  let rest = '';
  for await (const piece of text) {
    rest += piece;
    let from = 0;
    for (let end = rest.indexOf('}'); end !== -1; end = rest.indexOf('}', from)) {
      yield toExtent(rest.slice(from, end + 1));
      from = end + 1;
    }
    rest = rest.slice(from);
    if (rest.length > MAX_EXTENT_CHARS) throw notAMap(rest);
  }
  if (/[^\s[\],]/.test(rest)) throw notAMap(rest);
}

function toExtent(text: string): MapExtent {
  const extent: JsonObject = jsonObject(parseToolJson(text.replace(/^[\s[,]+/, '')), 'extent');
  return {
    start: countField(extent, 'start'),
    length: countField(extent, 'length'),
    depth: countField(extent, 'depth'),
    zero: flagField(extent, 'zero'),
    data: flagField(extent, 'data'),
    ...optionalField(extent, 'present', flagField, (present) => ({ present })),
    ...optionalField(extent, 'offset', countField, (offset) => ({ offset })),
  };
}

function notAMap(text: string): StrataError {
  return new StrataError(
    'tool_output_invalid',
    'qemu-img map printed something that is no list of extents.',
    {
      details: { start: text.slice(0, 200) },
    },
  );
}
