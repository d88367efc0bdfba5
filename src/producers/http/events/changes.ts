import type { JobEvent } from '../../../contract/index.js';

/** The latest event of every job that is still of interest, as it was sent. */
export type Sent = Map<string, { event: JobEvent; text: string }>;

/**
 * Tells which events are news, and remembers them; forgets the jobs that the scan has not seen, because they have ended.
 * Of several events of one job the last one counts: it was read last.
 */
export function takeNews(sent: Sent, seen: readonly JobEvent[]): JobEvent[] {
  const latest = new Map(seen.map((event) => [event.id, event]));
  for (const id of sent.keys()) if (!latest.has(id)) sent.delete(id);
  return [...latest.values()].filter((event) => {
    const text = JSON.stringify(event);
    const isNews = sent.get(event.id)?.text !== text;
    sent.set(event.id, { event, text });
    return isNews;
  });
}
