/**
 * Waits for two pieces of work that run side by side, for both of them also where one fails: nothing goes on behind the
 * caller's back.
 * @throws the failure of the first, or else that of the second
 */
export async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  const [one, other] = await Promise.allSettled([first, second]);
  if (one.status === 'rejected') throw one.reason;
  if (other.status === 'rejected') throw other.reason;
  return [one.value, other.value];
}
