// The demonstration behind `npm start -- [disk]`: backs up a disk, changes it, backs it up again, restores, compares.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { failureOf, followJob } from '../cli/followJob.js';
import { renderError } from '../cli/errorReport.js';
import { createProgressView } from '../cli/progress.js';
import { formatBytes } from '../cli/render/bytes.js';
import type { CliIo } from '../cli/index.js';
import { createClient } from '../client/index.js';
import { readSettings } from '../config/settings.js';
import { asStrataError, errnoOf, StrataError } from '../shared/errors.js';
import { makeDisk } from './demo/makeDisk.js';
import { runDemo } from './demo/runDemo.js';
import { createSteps } from './demo/steps.js';
import { renderSummary } from './demo/summary.js';
import { type DemoTarget, demoTarget, userTarget } from './demo/target.js';
import { processIo } from './terminal.js';
import { up } from './up.js';

const { io, close } = processIo();
try {
  await main(io, process.argv.slice(2));
} catch (error) {
  const known = asStrataError(error);
  io.err(renderError(known));
  process.exitCode = known.exitCode;
} finally {
  close();
}

async function main(cli: CliIo, args: readonly string[]): Promise<void> {
  const { signal } = cli;
  const { disk, format } = readArguments(args);
  const settings = readSettings(cli.env, cli.projectDir);
  const { step, timings } = createSteps(cli.clock, (line) => cli.err(`${line}\n`));
  const note = (line: string) => cli.err(`   ${line}\n`);
  const target =
    disk === undefined
      ? demoTarget(join(settings.dataDir, 'sources', 'demo.raw'))
      : await userTarget(disk, format);
  if (target.own && !(await exists(target)))
    await step('make a disk', () => makeDemoDisk(target, note, signal));
  const system = await step('start, or adopt what runs', () =>
    up({ env: cli.env, projectDir: cli.projectDir, allow: target.access, log: note, signal }),
  );
  const client = createClient({ baseUrl: system.addresses.api, token: system.token });
  const context = { io: cli, progress: createProgressView(cli) };
  const { chain } = await runDemo({
    client,
    target,
    dataDir: system.dataDir,
    restoreDir: settings.restoreRoots[0] ?? join(system.dataDir, 'restores'),
    step,
    note,
    signal,
    follow: async (jobId, label) => {
      const failure = failureOf(await followJob(context, client, jobId, label));
      if (failure) throw failure;
    },
  });
  cli.out(renderSummary(chain, timings, system));
}

function readArguments(args: readonly string[]): { disk?: string | undefined; format?: string | undefined } {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      options: { format: { type: 'string' } },
      allowPositionals: true,
    });
    if (positionals.length <= 1) return { disk: positionals[0], format: values.format };
  } catch (error) {
    throw usage(error);
  }
  throw usage();
}

function usage(cause?: unknown): StrataError {
  const text =
    'npm start -- [DISK] [--format FORMAT]: DISK is the path of an image, a block device or an NBD URI.';
  return new StrataError('invalid_request', `Usage: ${text}`, { cause });
}

async function exists(target: DemoTarget): Promise<boolean> {
  if (target.source.type !== 'file') return true;
  try {
    await stat(target.source.path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function makeDemoDisk(
  target: DemoTarget,
  note: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  if (target.source.type !== 'file') return;
  const { files, bytes } = await makeDisk(target.source.path, undefined, signal);
  note(`${target.source.path}: ext4 in a partition, ${files} files of this machine, ${formatBytes(bytes)}.`);
}
