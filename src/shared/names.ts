import { StrataError } from './errors.js';

/** Characters, which is what databases count: a hypervisor allows 80 (VMware) to 255 (OpenStack). */
const LONGEST_VM_NAME = 255;
/** Control characters, halves of characters, separators of lines and paragraphs. */
const NO_NAME = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u;
/** Something that can be seen: neither blank, nor joined to what is before it, nor invisible. */
const VISIBLE = /[^\p{C}\p{Z}\p{M}\u115F\u1160\u3164\uFFA0]|\p{Co}/u;
const SIMPLE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/**
 * Checks a VM's name: what a hypervisor lets somebody write into one line. It is stored and compared as it is, character by
 * character, and never becomes a path: files have the `slug` of it, which has no say in what is found again.
 * No blank at the end, because databases compare text as if it were padded with blanks.
 */
export function checkVmName(name: string, field: string): string {
  const why = NO_NAME.test(name)
    ? 'has no control characters and no line ends'
    : name !== name.trim()
      ? 'has no blank at its beginning or end'
      : [...name].length > LONGEST_VM_NAME
        ? `has ${LONGEST_VM_NAME} characters at most`
        : VISIBLE.test(name)
          ? undefined
          : 'has a character that can be seen';
  if (why !== undefined) throw new StrataError('invalid_name', `A VM name ${why}.`, { field });
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
  if (NO_NAME.test(text) || /\s$/u.test(text)) {
    throw new StrataError('invalid_name', 'The text has no control characters and no blank at its end.', {
      field,
    });
  }
  return text;
}
