import type { Command } from 'commander';
import type { Job, StrataClient } from '../../client/index.js';
import { StrataError } from '../../shared/errors.js';
import { action, type CommandContext, type Output } from '../command.js';
import { parseDiskId } from '../diskSpec.js';
import { failureOf, followJob } from '../followJob.js';
import { refuseIdle } from '../idleOptions.js';
import type { CliIo } from '../io.js';
import { findDisk, findVm } from '../lookUp.js';
import { readValidation, renderValidation } from '../render/validation.js';
import { validateMany } from '../validateMany.js';

interface Options {
  vm?: string;
  repository?: string;
  repo?: string;
  deep?: true;
  wait?: true;
}

/** `strata validate VM DISK`, `strata validate CHAIN`, `strata validate --vm VM` and `strata validate --repository R` */
export function addValidateCommand(program: Command, io: CliIo): void {
  program
    .command('validate [vm-or-chain] [disk]')
    .description('check a chain: of a disk of a VM (default: disk 0), or by its id (chn_...); or many')
    .option('--vm <vm>', 'all chains of a VM')
    .option('--repository <repository>', 'all chains of a repository')
    .option('--repo <repository>', 'where several repositories have a VM of this name')
    .option('--deep', 'also read every byte and compare it with its digest')
    .option('--wait', 'wait for the result')
    .action(action(io, validate));
}

async function validate(
  context: CommandContext,
  target: string | undefined,
  disk: string | undefined,
  options: Options,
): Promise<Output> {
  const client = await context.client();
  const { signal } = context.io;
  const { vm, repository } = options;
  if ([target, vm, repository].filter((each) => each !== undefined).length !== 1) {
    throw new StrataError('invalid_request', 'Give a VM or a chain, or --vm, or --repository: one of them.');
  }
  if (repository !== undefined)
    refuseIdle(options.repo, '--repo', 'it tells VMs of one name apart, and --repository names no VM');
  if (target !== undefined && isChainId(target, disk))
    refuseIdle(options.repo, '--repo', 'the id of a chain is one of its own');
  if (target === undefined) return validateMany(context, client, options);
  const chainId = await findChain(client, target, disk, options, signal);
  const accepted = await client.chains.validate(
    chainId,
    { level: options.deep ? 'deep' : 'quick' },
    { signal },
  );
  if (!options.wait) {
    const text = `Accepted validation ${accepted.job_id} of chain ${chainId}.\n`;
    return { json: { ...accepted, chain_id: chainId }, text };
  }
  const job = await followJob(context, client, accepted.job_id, `validation of ${target}`);
  return { json: job, text: renderValidation(job, context.size), failure: failureOf(job) ?? unhealthy(job) };
}

/** A check that ran to its end and found the chain ill is a failure, too, for a script. */
function unhealthy(job: Job): StrataError | undefined {
  const { healthy, chainHealth, findings } = readValidation(job.result);
  if (healthy !== false) return undefined;
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return new StrataError(
    'validation_failed',
    `Chain ${job.chain_id} is ${chainHealth ?? 'not healthy'}: ${errors} errors.`,
  );
}

function isChainId(target: string, disk: string | undefined): boolean {
  return disk === undefined && /^chn_[0-9a-z]+$/.test(target);
}

async function findChain(
  client: StrataClient,
  target: string,
  disk: string | undefined,
  options: Options,
  signal: AbortSignal,
): Promise<string> {
  if (isChainId(target, disk)) return target;
  const diskId = parseDiskId(disk ?? '0');
  const vm = await findVm(client, target, { repo: options.repo, signal });
  const chainId = findDisk(vm, diskId).chain_id;
  if (chainId) return chainId;
  throw new StrataError('not_found', `Disk ${diskId} of ${vm.vm_name} has no chain yet.`, { field: 'disk' });
}
