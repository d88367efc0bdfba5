import type { Command } from 'commander';
import { StrataError } from '../shared/errors.js';

/** An option that says nothing without one of others, or with one of others. */
export interface FlagRule {
  /** As it is typed: `--dry-run`. */
  flag: string;
  /** One of these must be given, too: options, or arguments as `<vm>`. */
  needs?: readonly string[];
  /** None of these may be given. */
  not?: readonly string[];
}

/**
 * Which options of which command go together. An option that would do nothing is refused: whoever types it believes that it does
 * something.
 */
export const FLAG_RULES: Record<string, readonly FlagRule[]> = {
  consolidate: [
    { flag: '--synthetic-full', not: ['--keep', '--seen'] },
    { flag: '--seen', needs: ['--keep'] },
    { flag: '--wait', not: ['--dry-run'] },
  ],
  delete: [
    { flag: '--all-of-vm', not: ['--all-of-repo'] },
    { flag: '--repo', needs: ['--all-of-vm'] },
    { flag: '--yes', needs: ['--all-of-vm', '--all-of-repo'] },
    { flag: '--seen', needs: ['--all-of-vm', '--all-of-repo'] },
    { flag: '--wait', not: ['--dry-run'] },
  ],
  validate: [{ flag: '--repo', not: ['--repository'] }],
  protect: [{ flag: '--until', not: ['--none'] }],
  restore: [{ flag: '--no-verify', not: ['--allow-damaged'] }],
  'repo set': [{ flag: '--enable', not: ['--disable'] }],
  'policy add': [
    { flag: '--repo', needs: ['--vm'] },
    { flag: '--time-zone', needs: ['--schedule'] },
    { flag: '--jitter', needs: ['--schedule'] },
  ],
  'vm add': [{ flag: '--format', needs: ['--disk'] }],
};

/** @throws invalid_request for options that do not go together */
export function assertFlags(command: Command): void {
  for (const { flag, needs = [], not = [] } of FLAG_RULES[pathOf(command)] ?? []) {
    if (!isGiven(command, flag)) continue;
    const against = not.find((other) => isGiven(command, other));
    if (against) throw refused(flag, `${flag} and ${against} do not go together: leave one of them away.`);
    if (needs.length > 0 && !needs.some((other) => isGiven(command, other)))
      throw refused(flag, `${flag} says something with ${needs.join(' or ')} only.`);
  }
}

/** The command's words after the program's name. */
export function pathOf(command: Command): string {
  const { parent } = command;
  return parent?.parent ? `${pathOf(parent)} ${command.name()}` : command.name();
}

function isGiven(command: Command, flag: string): boolean {
  const option = command.options.find(({ long }) => long === flag);
  return option !== undefined && command.getOptionValueSource(option.attributeName()) === 'cli';
}

function refused(field: string, message: string): StrataError {
  return new StrataError('invalid_request', message, { field });
}
