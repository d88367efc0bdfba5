import { normalize } from 'node:path';
import { StrataError } from './errors.js';

/** What a path may be, and below what. */
export interface PathRules {
  roots: readonly string[];
  /** What the path is for, the setting that allows it, and how somebody allows more. */
  what: string;
  setting: string;
  remedy: string;
  /** Bytes. */
  longestPath: number;
  longestName: number;
}

/**
 * Refuses a path that is relative, not normal, has a NUL byte, is too long, or lies outside of all roots. The text alone is
 * looked at: a caller learns nothing of what exists.
 */
export function checkPathUnder(path: string, rules: PathRules, field: string): void {
  const refuse = (message: string): never => {
    throw new StrataError('path_not_allowed', message, { field });
  };
  const { roots, what, setting, remedy, longestPath, longestName } = rules;
  if (!path.startsWith('/') || path.includes('\0') || normalize(path) !== path) {
    refuse('The path is absolute and has no "..", "." or double slash.');
  }
  const bytes = Buffer.byteLength(path);
  if (bytes > longestPath) refuse(`The path has ${bytes} bytes; that of ${what} has ${longestPath} at most.`);
  const name = Math.max(...path.split('/').map((part) => Buffer.byteLength(part)));
  if (name > longestName) {
    refuse(`A name in the path has ${name} bytes; that of ${what} has ${longestName} at most.`);
  }
  if (roots.some((root) => path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`))) return;
  const list = roots.length === 0 ? 'none' : roots.join(', ');
  refuse(`${path} is not where ${what} may be: below ${setting} (${list}). To allow more: ${remedy}.`);
}
