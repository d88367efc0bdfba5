/** Something that is opened when first asked for, shared, and opened again after it was given up. */
export interface Reopenable<T> {
  /** Rejects as `open`; a failure is not kept. */
  get(): Promise<T>;
  /** What is open, for the caller to close: one or nothing. Waits for an opening that is under way. */
  take(): Promise<T[]>;
  /** Gives up what somebody else has closed. */
  forget(): void;
}

export function reopenable<T>(open: () => Promise<T>): Reopenable<T> {
  let held: Promise<T> | undefined;
  const forget = () => {
    held = undefined;
  };
  const get = async (): Promise<T> => {
    const opening = (held ??= open());
    try {
      return await opening;
    } catch (error) {
      if (held === opening) forget();
      throw error;
    }
  };
  const take = async (): Promise<T[]> => {
    const opening = held;
    forget();
    if (!opening) return [];
    // An opening that failed has told whoever asked for it, and left nothing to close.
    const [result] = await Promise.allSettled([opening]);
    return result.status === 'fulfilled' ? [result.value] : [];
  };
  return { get, take, forget };
}
