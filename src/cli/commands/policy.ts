import { type Command, Option, InvalidArgumentError } from 'commander';
import {
  allItems,
  type KeepRules,
  type Policy,
  type PolicyCreate,
  type PolicyRun,
  type RetentionVerdict,
  type Simulation,
} from '../../client/index.js';
import { action, collect, type CommandContext, type Output } from '../command.js';
import { refuseIdle } from '../idleOptions.js';
import type { CliIo } from '../io.js';
import { findPolicy, findVm } from '../lookUp.js';
import { parseCount } from '../numbers.js';
import { verifyOption } from '../verifyOption.js';
import { renderTable } from '../render/table.js';
import { formatTime } from '../render/time.js';

interface AddOptions {
  schedule?: string;
  timeZone?: string;
  jitter?: number;
  type?: PolicyCreate['backup_type'];
  fullEvery?: number;
  fullAfterDays?: number;
  verify?: NonNullable<PolicyCreate['verify']>;
  keep?: KeepRules;
  vm?: string[];
  repo?: string;
}

/** Runs that `show` lists. */
const RUNS_SHOWN = 10;

/** `strata policy add|list|show|run|simulate|remove` */
export function addPolicyCommand(program: Command, io: CliIo): void {
  const policy = program.command('policy').description('when VMs are backed up, and what is kept');
  addAddCommand(policy, io);
  policy.command('list').description('list the policies').action(action(io, listPolicies));
  policy
    .command('show <policy>')
    .description('show a policy and its last runs')
    .action(action(io, showPolicy));
  policy.command('run <policy>').description('run it now').action(action(io, runPolicy));
  policy
    .command('simulate <policy>')
    .description('say of every restore point whether it would be kept now, and why; changes nothing')
    .action(action(io, simulate));
  policy
    .command('remove <policy>')
    .description('remove it; what it has backed up stays')
    .action(action(io, removePolicy));
}

function addAddCommand(policy: Command, io: CliIo): void {
  const types = ['full', 'incremental', 'differential', 'auto'];
  policy
    .command('add <name>')
    .description('make a policy')
    .option(
      '--schedule <cron>',
      'minute, hour, day of month, month, day of week, such as "30 2 * * *"; left out: only on request',
    )
    .option('--time-zone <zone>', 'such as Europe/Berlin; default: UTC')
    .option('--jitter <seconds>', 'spread the VMs over so many seconds', parseCount)
    .addOption(new Option('--type <type>', 'kind of backup').choices(types).default('auto'))
    .option('--full-every <n>', 'auto: every n-th backup is a full', parseCount)
    .option('--full-after-days <n>', 'auto: a full when the last one is so old', parseCount)
    .addOption(verifyOption())
    .option('--keep <rules>', 'such as last=3,daily=7,weekly=4,monthly=6,within=2d; default: all', parseKeep)
    .option('--vm <vm>', 'a VM of the policy, by name or id; repeat for more', collect)
    .option('--repo <repository>', 'the repository of VMs given by name, where several have them')
    .action(action(io, addPolicy));
}

async function addPolicy(context: CommandContext, name: string, options: AddOptions): Promise<Output> {
  const { signal } = context.io;
  if (options.vm === undefined)
    refuseIdle(options.repo, '--repo', 'it tells VMs of one name apart, and goes with --vm');
  const client = await context.client();
  const vms: string[] = [];
  for (const vm of options.vm ?? []) {
    vms.push((await findVm(client, vm, { repo: options.repo, signal })).vm_context_id);
  }
  const body: PolicyCreate = {
    name,
    vms,
    backup_type: options.type ?? 'auto',
    ...(options.schedule === undefined ? {} : { schedule: options.schedule }),
    ...(options.timeZone === undefined ? {} : { time_zone: options.timeZone }),
    ...(options.jitter === undefined ? {} : { jitter_seconds: options.jitter }),
    ...(options.fullEvery === undefined ? {} : { full_every: options.fullEvery }),
    ...(options.fullAfterDays === undefined ? {} : { full_after_days: options.fullAfterDays }),
    ...(options.verify === undefined ? {} : { verify: options.verify }),
    ...(options.keep === undefined ? {} : { keep: options.keep }),
  };
  const made = await client.policies.create(body, { signal });
  const due = made.next_run_at === null ? 'runs only on request' : `is due ${formatTime(made.next_run_at)}`;
  const vmCount = `with ${made.vms.length} VMs`;
  const text = `Policy ${made.name} (${made.id}) ${vmCount} ${due}, and keeps ${keepText(made.keep)}.\n`;
  return { json: made, text };
}

async function listPolicies(context: CommandContext): Promise<Output> {
  const client = await context.client();
  const items = await allItems((page) => client.policies.list(page, { signal: context.io.signal }));
  const columns = [
    { title: 'NAME', value: (row: Policy) => row.name },
    {
      title: 'SCHEDULE',
      value: (row: Policy) =>
        row.enabled ? `${row.schedule ?? 'on request'}${row.schedule_problem ? ' (!)' : ''}` : 'disabled',
    },
    { title: 'ZONE', value: (row: Policy) => row.time_zone },
    { title: 'NEXT', value: (row: Policy) => formatTime(row.next_run_at) },
    { title: 'VMS', value: (row: Policy) => String(row.vms.length) },
    { title: 'KEEP', value: (row: Policy) => keepText(row.keep) },
    { title: 'ID', value: (row: Policy) => row.id },
  ];
  return { json: { items }, text: renderTable(columns, items, 'No policies.') };
}

async function showPolicy(context: CommandContext, idOrName: string): Promise<Output> {
  const { signal } = context.io;
  const client = await context.client();
  const policy = await findPolicy(client, idOrName, signal);
  const { items } = await client.policies.runs(policy.id, { limit: RUNS_SHOWN }, { signal });
  const columns = [
    { title: 'BEGAN', value: (row: PolicyRun) => formatTime(row.started_at) },
    { title: 'ENDED', value: (row: PolicyRun) => formatTime(row.ended_at) },
    { title: 'BY', value: (row: PolicyRun) => row.started_by },
    { title: 'STATUS', value: (row: PolicyRun) => row.status },
    { title: 'RUN', value: (row: PolicyRun) => row.id },
  ];
  const head = `${policy.name}: ${policy.schedule ?? 'on request'} ${policy.time_zone}, keeps ${keepText(policy.keep)}\n`;
  const { schedule_problem: problem } = policy;
  const refused = problem === null ? '' : `  warning: ${problem}\n`;
  const vms = policy.vms.map((vm) => `  ${vm}\n`).join('');
  const text = `${head}${refused}${vms || '  no VMs\n'}\n${renderTable(columns, items, 'It has not run yet.')}`;
  return { json: { policy, runs: items }, text };
}

async function runPolicy(context: CommandContext, idOrName: string): Promise<Output> {
  const { signal } = context.io;
  const client = await context.client();
  const policy = await findPolicy(client, idOrName, signal);
  const run = await client.policies.run(policy.id, { signal });
  const text = run.status === 'empty' ? 'has no VM: nothing to do' : `runs (${run.id})`;
  return { json: run, text: `Policy ${policy.name} ${text}.\n` };
}

async function simulate(context: CommandContext, idOrName: string): Promise<Output> {
  const { signal } = context.io;
  const client = await context.client();
  const policy = await findPolicy(client, idOrName, signal);
  const simulation = await client.policies.simulate(policy.id, { signal });
  return { json: simulation, text: renderSimulation(simulation) };
}

async function removePolicy(context: CommandContext, idOrName: string): Promise<Output> {
  const { signal } = context.io;
  const client = await context.client();
  const { id, name } = await findPolicy(client, idOrName, signal);
  await client.policies.remove(id, { signal });
  return { json: { id, removed: true }, text: `Removed policy ${name}; its restore points stay.\n` };
}

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

/** What a policy would keep and remove, VM by VM, newest point first. */
function renderSimulation({ keep, remove, vms }: Simulation): string {
  const columns = [
    { title: '', value: (row: RetentionVerdict) => (row.keep ? 'keep' : 'remove') },
    { title: 'POINT', value: (row: RetentionVerdict) => formatTime(row.created_at) },
    { title: 'STATE', value: (row: RetentionVerdict) => row.state },
    { title: 'WHY', value: (row: RetentionVerdict) => row.reasons.join(', ') },
    { title: 'ID', value: (row: RetentionVerdict) => row.restore_point_id },
  ];
  const parts = vms.map(
    (vm) => `${vm.vm_context_id}\n${renderTable(columns, vm.points, 'No restore points.')}\n`,
  );
  return `${parts.join('')}${keep} stay, ${remove} would go.\n`;
}
