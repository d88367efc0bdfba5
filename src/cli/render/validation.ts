import type { Job } from '../../client/index.js';
import { renderFields } from './table.js';

/** Draws the result of a validation: each fact of the report on a line, and each finding. */
export function renderValidation(job: Job): string {
  const facts = Object.entries(job.result ?? {}).flatMap(([name, value]) => flatten(name, value));
  return renderFields([['chain', job.chain_id], ['status', job.status], ...facts]);
}

/** `findings: [{...}]` becomes one line per finding; what is nested deeper is shown as JSON. */
function flatten(name: string, value: unknown): [string, string][] {
  const label = name.replaceAll('_', ' ');
  if (Array.isArray(value)) {
    if (value.length === 0) return [[label, 'none']];
    return value.map((item: unknown): [string, string] => [label, sentence(item)]);
  }
  return [[label, sentence(value)]];
}

function sentence(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([name, part]) => `${name} ${typeof part === 'object' ? JSON.stringify(part) : String(part)}`)
    .join(', ');
}
