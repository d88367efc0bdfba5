import { InvalidArgumentError } from 'commander';
import type { KeepRules } from '../client/index.js';

const COUNTED = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

/** Reads rules such as `last=3,daily=7,within=2d`, for an option; what they may be, the API says. */
export function parseKeep(text: string): KeepRules {
  const rules: KeepRules = {};
  for (const part of text.split(',')) {
    const [name = '', value = '', ...more] = part.split('=');
    const rule = COUNTED.find((each) => each === name) ?? (name === 'within' ? name : undefined);
    if (!rule || more.length > 0 || (rule !== 'within' && !/^\d{1,15}$/.test(value))) {
      throw new InvalidArgumentError(
        `"${part}" is not such as daily=7; rules: ${COUNTED.join(', ')}, within.`,
      );
    }
    if (rule in rules) throw new InvalidArgumentError(`${rule} is given twice.`);
    if (rule === 'within') rules.within = value;
    else rules[rule] = Number(value);
  }
  return rules;
}

/** The rules as `--keep` takes them; `all` where they remove nothing. */
export function keepText(keep: KeepRules | null): string {
  const rules = Object.entries(keep ?? {}).filter(([, value]) => value !== 0);
  return rules.length === 0 ? 'all' : rules.map(([name, value]) => `${name}=${value}`).join(',');
}
