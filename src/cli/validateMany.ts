import type { Job, StrataClient, ValidationsAccepted } from '../client/index.js';
import { StrataError } from '../shared/errors.js';
import type { CommandContext, Output } from './command.js';
import { failureOf, followJob } from './followJob.js';
import { findRepository, findVm } from './lookUp.js';
import { readValidation } from './render/validation.js';
import { renderAcceptedValidations, renderValidations } from './render/validations.js';

/** Validates all chains of a VM or a repository; waits for them, and sums up, where that is asked for. */
export async function validateMany(
  context: CommandContext,
  client: StrataClient,
  options: { vm?: string; repository?: string; repo?: string; deep?: true; wait?: true },
): Promise<Output> {
  const accepted = await accept(client, options, context.io.signal);
  if (!options.wait) return { json: accepted, text: renderAcceptedValidations(accepted) };
  const ended: Job[] = [];
  for (const { job_id, vm_name, disk_id } of accepted.jobs) {
    ended.push(await followJob(context, client, job_id, `${vm_name} disk ${disk_id}`));
  }
  const ill = ended.filter(({ result }) => readValidation(result).healthy === false).length;
  return {
    json: { level: accepted.level, ill, jobs: ended, skipped: accepted.skipped },
    text: renderValidations(ended, accepted.skipped),
    failure: ended.map(failureOf).find((failure) => failure !== undefined) ?? illness(ill, ended.length),
  };
}

async function accept(
  client: StrataClient,
  { vm, repository, repo, deep }: Parameters<typeof validateMany>[2],
  signal: AbortSignal,
): Promise<ValidationsAccepted> {
  const body = { level: deep ? 'deep' : 'quick' } as const;
  if (vm === undefined) {
    const { id } = await findRepository(client, repository ?? '', signal);
    return client.repositories.validate(id, body, { signal });
  }
  const { vm_context_id } = await findVm(client, vm, { repo, signal });
  return client.vms.validate(vm_context_id, body, { signal });
}

/** Checks that ran to their end and found chains ill are a failure, too, for a script. */
function illness(ill: number, all: number): StrataError | undefined {
  if (ill === 0) return undefined;
  return new StrataError('validation_failed', `${ill} of ${all} chains are not healthy.`);
}
