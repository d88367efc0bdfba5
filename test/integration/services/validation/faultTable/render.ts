import type { ValidationReport } from '../../../../../src/services/validation/index.js';
import type { Observation } from './observe.js';

export const LAYERS = ['base', 'middle', 'tip'] as const;
export type LayerName = (typeof LAYERS)[number];

const HEAD = [
  'fault',
  'in',
  'quick finds',
  'deep adds',
  'points, oldest first',
  'may be restored',
  'merge into the tip',
  'next backup',
];

export function renderHead(): string {
  return `${line(HEAD)}\n${line(HEAD.map(() => '---')).replaceAll(' ', '')}`;
}

/** One row of the table. */
export function renderRow(title: string, layer: LayerName, seen: Observation): string {
  const quick = codesOf(seen.quick);
  const added = codesOf(seen.deep).filter((code) => !quick.includes(code));
  return line([
    title,
    layer,
    quoted(quick),
    quoted(added),
    seen.healths.join(' '),
    restorable(seen),
    seen.mergeRefused.length === 0 ? 'yes' : `refused: ${quoted(seen.mergeRefused)}`,
    seen.next.outcome.replace(/\((\w+)\)/, '(`$1`)'),
  ]);
}

export function codesOf({ findings }: ValidationReport): string[] {
  return [...new Set(findings.map(({ code }) => code))].toSorted();
}

function restorable({ restorable: points }: Observation): string {
  const count = (yes: (point: Observation['restorable'][number]) => boolean) => points.filter(yes).length;
  const [proved, unproved] = [
    count(({ proved }) => proved === 'no error'),
    count(({ unproved }) => unproved === 'no error'),
  ];
  const rest = proved > unproved ? `, ${proved - unproved} more with proof` : '';
  return `${unproved} of ${points.length}${rest}`;
}

function quoted(codes: readonly string[]): string {
  return codes.length === 0 ? '-' : codes.map((code) => `\`${code}\``).join(' ');
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
