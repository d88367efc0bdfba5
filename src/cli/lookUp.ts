import {
  eachItem,
  type Policy,
  type Repository,
  type StrataClient,
  type Token,
  type Vm,
  type Webhook,
  allItems,
} from '../client/index.js';
import { isStrataError, StrataError } from '../shared/errors.js';
import type { RepositoryState } from './render/cadence.js';

/**
 * Finds the VM that a user means by its name, or by its context id.
 * @param options.repo id or name of the repository, where several have a VM of this name
 * @throws not_found when there is none
 * @throws invalid_request when there are several
 */
export async function findVm(
  client: StrataClient,
  name: string,
  options: { repo?: string | undefined; signal: AbortSignal },
): Promise<Vm> {
  const query = { vm_name: name, ...(options.repo === undefined ? {} : { repository_id: options.repo }) };
  const { items } = await client.vms.list(query, options);
  const [vm, another] = items;
  if (vm && !another) return vm;
  if (!vm) return findVmById(client, name, options.signal);
  const names = await repositoryNames(client, options.signal);
  const choices = items.map(
    (item) => `${names.get(item.repository_id) ?? item.repository_id} (${item.vm_context_id})`,
  );
  throw new StrataError(
    'invalid_request',
    `There are ${items.length} VMs named ${name}: in ${choices.join(', ')}. Say which with --repo, or give the id.`,
    { field: 'vm' },
  );
}

async function findVmById(client: StrataClient, id: string, signal: AbortSignal): Promise<Vm> {
  // The API refuses what cannot be an id before it looks.
  if (!/^[A-Za-z0-9._-]{1,191}$/.test(id)) throw await missingVm(client, id, signal);
  try {
    return await client.vms.get(id, { signal });
  } catch (error) {
    throw isStrataError(error, 'not_found') ? await missingVm(client, id, signal) : error;
  }
}

/** VMs among which a name that is nearly right is looked for. */
const MOST_LOOKED_AT = 500;

async function missingVm(client: StrataClient, name: string, signal: AbortSignal): Promise<StrataError> {
  const { items } = await client.vms.list({ limit: MOST_LOOKED_AT }, { signal });
  const renamed = items.find((vm) => vm.previous_name === name);
  const near = nearestNames(
    name,
    items.map((vm) => vm.vm_name),
  );
  const meant = renamed
    ? ` It is called ${renamed.vm_name} now.`
    : near.length > 0
      ? ` Did you mean ${near.join(', ')}?`
      : '';
  const message = `There is no VM named ${name}.${meant} All of them: strata vm list.`;
  return new StrataError('not_found', message, { field: 'vm' });
}

/** The disk of a VM that a user means. @throws not_found, with the disks that there are */
export function findDisk(vm: Vm, diskId: number): Vm['disks'][number] {
  const disk = vm.disks.find((candidate) => candidate.disk_id === diskId);
  if (disk) return disk;
  const ids = vm.disks.map((candidate) => candidate.disk_id);
  const there = ids.length === 0 ? 'no disks' : `${ids.length === 1 ? 'disk' : 'disks'} ${ids.join(', ')}`;
  throw new StrataError('not_found', `${vm.vm_name} has no disk ${diskId}; it has ${there}.`, {
    field: 'disk',
  });
}

/** Finds a repository by id or name. @throws not_found */
export async function findRepository(
  client: StrataClient,
  idOrName: string,
  signal: AbortSignal,
): Promise<Repository> {
  const all = eachItem((page) => client.repositories.list(page, { signal }));
  for await (const repository of all) {
    if (repository.id === idOrName || repository.name === idOrName) return repository;
  }
  throw new StrataError('not_found', `There is no repository ${idOrName}.`, { field: 'repo' });
}

/** Finds a token by id or name. @throws not_found */
export async function findToken(client: StrataClient, idOrName: string, signal: AbortSignal): Promise<Token> {
  for await (const token of eachItem((page) => client.tokens.list(page, { signal }))) {
    if (token.id === idOrName || token.name === idOrName) return token;
  }
  throw new StrataError('not_found', `There is no token ${idOrName}.`, { field: 'token' });
}

/** Finds a policy by id or name. @throws not_found */
export async function findPolicy(
  client: StrataClient,
  idOrName: string,
  signal: AbortSignal,
): Promise<Policy> {
  for await (const policy of eachItem((page) => client.policies.list(page, { signal }))) {
    if (policy.id === idOrName || policy.name === idOrName) return policy;
  }
  throw new StrataError('not_found', `There is no policy ${idOrName}.`, { field: 'policy' });
}

/** Finds a webhook by id or name. @throws not_found */
export async function findWebhook(
  client: StrataClient,
  idOrName: string,
  signal: AbortSignal,
): Promise<Webhook> {
  for await (const webhook of eachItem((page) => client.webhooks.list(page, { signal }))) {
    if (webhook.id === idOrName || webhook.name === idOrName) return webhook;
  }
  throw new StrataError('not_found', `There is no webhook ${idOrName}.`, { field: 'webhook' });
}

/** Names of all repositories by id, for tables. */
export async function repositoryNames(
  client: StrataClient,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for await (const { id, name } of eachItem((page) => client.repositories.list(page, { signal }))) {
    names.set(id, name);
  }
  return names;
}

/** Names that are proposed at most. */
const MOST = 3;

/** The names that somebody may have meant: those that are few letters away, or begin or end alike; the nearest first. */
function nearestNames(meant: string, names: readonly string[]): string[] {
  const wanted = fold(meant);
  const farthest = Math.max(1, Math.floor(wanted.length / 3));
  return [...new Set(names)]
    .map((name) => ({ name, far: distance(wanted, fold(name), farthest) }))
    .filter(({ far }) => far <= farthest)
    .sort((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1))
    .slice(0, MOST)
    .map(({ name }) => name);
}

/** Case, accents and blanks at the ends are what people get wrong first. */
function fold(name: string): string {
  return name.normalize('NFKD').replace(/\p{M}/gu, '').trim().toLowerCase();
}

/** Levenshtein's distance; 0 where one is the beginning or end of the other, Infinity where it cannot be within `farthest`. */
function distance(a: string, b: string, farthest: number): number {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  if (short.length >= 3 && (long.startsWith(short) || long.endsWith(short))) return 0;
  if (long.length - short.length > farthest) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: short.length + 1 }, (_, index) => index);
  for (const [line, letter] of [...long].entries()) {
    const next = [line + 1];
    for (let at = 0; at < short.length; at++) {
      const same = short[at] === letter ? 0 : 1;
      next.push(Math.min((row[at] ?? 0) + same, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return row[short.length] ?? 0;
}

/** How each repository is: health of its chains, what is overdue, and whether workers serve it. @throws what the API answers */
export async function repositoryStates(
  client: StrataClient,
  signal: AbortSignal,
): Promise<RepositoryState[]> {
  const repositories = await allItems((page) => client.repositories.list(page, { signal }));
  const states: RepositoryState[] = [];
  for (const { id, name, pool, enabled, unserved_kinds = [] } of repositories) {
    const unserved = enabled ? unserved_kinds : [];
    states.push({
      name,
      pool,
      unserved_kinds: unserved,
      ...(await client.repositories.validation(id, { signal })),
    });
  }
  return states;
}
