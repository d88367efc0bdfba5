import type { AttemptResult } from '../../db/webhook/outbox.js';

export interface Post {
  url: string;
  headers: Record<string, string>;
  body: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * One attempt: a POST that any 2xx answers. Redirects are not followed, because what is signed for one address is not
 * handed to another; the answer's body is thrown away.
 * @returns never throws for the receiver's trouble: `error` tells it. An answer's `status` is there even so.
 */
export async function post({ url, headers, body, timeoutMs, signal }: Post): Promise<AttemptResult> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'strata', ...headers },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await response.body?.cancel();
    const { status } = response;
    return { status, error: response.ok ? null : `It answered ${status}.` };
  } catch (error) {
    return { status: null, error: reasonOf(error) };
  }
}

/** `fetch` hides the reason in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message || cause.name}` : error.message;
}
