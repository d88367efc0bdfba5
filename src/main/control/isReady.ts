const REQUEST_TIMEOUT_MS = 3000;

/** True when the address answers 200 within three seconds. */
export async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch (error) {
    // TypeError: nobody listens, or the connection broke. DOMException: the time is over.
    if (error instanceof TypeError || error instanceof DOMException) return false;
    throw error;
  }
}
