import { StrataError } from './errors.js';

/** No blank at the end: databases compare text as if it were padded with blanks. */
const VM_NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N} ._@+()-]{0,126}[\p{L}\p{N}._@+()-])?$/u;
const SIMPLE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** Checks a VM's name: 1 to 128 letters, digits and ` ._@+()-`, beginning with a letter or digit, without `..`. */
export function checkVmName(name: string, field: string): string {
  if (!VM_NAME.test(name) || name.includes('..')) {
    throw new StrataError(
      'invalid_name',
      'A VM name has 1 to 128 letters, digits, blanks or ._@+()-, begins with a letter or digit, does not end with a blank, and has no "..".',
      { field },
    );
  }
  return name;
}

/** Checks the name of a repository, pool, policy or token: 1 to 63 of `A-Za-z0-9_.-`, beginning with a letter or digit. */
export function checkSimpleName(name: string, field: string): string {
  if (!SIMPLE_NAME.test(name) || name.includes('..')) {
    throw new StrataError(
      'invalid_name',
      'The name has 1 to 63 of A-Z a-z 0-9 _ . - and begins with a letter or digit.',
      {
        field,
      },
    );
  }
  return name;
}

/** The part of a VM's name that is safe in a file name: everything but `A-Za-z0-9._-` becomes `_`, at most 60 characters. */
export function slug(name: string): string {
  return (
    name
      .normalize('NFKD')
      .replace(/[^A-Za-z0-9._-]+/g, '_')
      .replace(/\.{2,}/g, '.')
      .replace(/^[._-]+/, '')
      .slice(0, 60) || 'vm'
  );
}

/** Checks a text of the caller's own, such as an upstream's id: no control characters, no half characters, no blank at the end. */
export function checkText(text: string, field: string): string {
  if (/\p{C}/u.test(text) || /\s$/u.test(text)) {
    throw new StrataError('invalid_name', 'The text has no control characters and no blank at its end.', {
      field,
    });
  }
  return text;
}
