import { InvalidArgumentError } from 'commander';

const SIZE = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?$/i;
const EXPONENTS: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4 };

/** Reads a size such as `4096`, `512MiB` or `1.5G` (powers of 1024) into bytes, for an option. */
export function parseSize(text: string): number {
  const match = SIZE.exec(text);
  const bytes = Number(match?.[1]) * 1024 ** (EXPONENTS[(match?.[2] ?? '').toUpperCase()] ?? 0);
  if (!Number.isSafeInteger(bytes)) throw new InvalidArgumentError('A size is like 4096, 512MiB or 10G.');
  return bytes;
}

/** Reads a whole number from 0, for an option. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count))
    throw new InvalidArgumentError('It is a whole number.');
  return count;
}

/** The same, or the word `none`: commander makes an empty text of null. */
export function orNone(parse: (text: string) => number): (text: string) => number | 'none' {
  return (text) => (text === 'none' ? text : parse(text));
}
