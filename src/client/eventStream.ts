import { StrataError } from '../shared/errors.js';

/** One event of a `text/event-stream`. */
export interface ServerSentEvent {
  id?: string;
  event: string;
  data: string;
}

/** A line that never ends must not fill the memory. */
const MAX_BUFFER = 1 << 20;

/**
 * Takes server-sent events apart, as in section 9.2.6 of the HTML standard. An event that the end of the stream cuts off
 * is dropped.
 * @throws internal when a line is longer than 1 MiB
 */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let draft = emptyDraft();
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > MAX_BUFFER)
      throw new StrataError('internal', 'A line of the event stream is longer than 1 MiB.');
    // A carriage return at the very end may be the first half of CR LF: it waits for the next chunk.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line !== '') addLine(draft, line);
      else {
        const event = finish(draft);
        draft = emptyDraft();
        if (event) yield event;
      }
    }
  }
}

interface Draft {
  id?: string;
  event: string;
  data: string[];
}

const emptyDraft = (): Draft => ({ event: 'message', data: [] });

function addLine(draft: Draft, line: string): void {
  const colon = line.indexOf(':');
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (field === 'data') draft.data.push(value);
  else if (field === 'event') draft.event = value;
  else if (field === 'id') draft.id = value;
}

function finish({ id, event, data }: Draft): ServerSentEvent | undefined {
  if (data.length === 0) return undefined;
  return { ...(id === undefined ? {} : { id }), event, data: data.join('\n') };
}
