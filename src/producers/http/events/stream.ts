import type { ServerResponse } from 'node:http';
import { escapeInvisibleJson } from '../../../shared/invisible.js';

/** A client that reads so slowly that this much waits for it is let go; it may come back and starts from now. */
const MOST_WAITING_BYTES = 1 << 20;

/** A `text/event-stream` (HTML standard, section 9.2) to one client. */
export interface EventStream {
  send(event: string, data: unknown): void;
  /** A line that the client ignores and that shows whether it is still there. */
  comment(text: string): void;
  end(): void;
}

/** Begins the stream with these headers; `onEnd` is called once, whoever ends it. */
export function openEventStream(
  response: ServerResponse,
  headers: Record<string, string>,
  onEnd: () => void,
): EventStream {
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    // A proxy that collects the answer would hold the events back.
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  response.once('close', onEnd);
  // The client is gone in the middle of a write: `close` follows and tells it.
  response.on('error', () => response.destroy());
  const write = (text: string) => {
    if (response.writableEnded || response.destroyed) return;
    response.write(text);
    if (response.writableLength > MOST_WAITING_BYTES) response.destroy();
  };
  return {
    send: (event, data) => write(`event: ${event}\ndata: ${escapeInvisibleJson(JSON.stringify(data))}\n\n`),
    comment: (text) => write(`: ${text}\n\n`),
    end: () => {
      if (!response.writableEnded) response.end();
    },
  };
}
