import { Command, CommanderError } from 'commander';
import { asStrataError, StrataError } from '../shared/errors.js';
import { addGlobalOptions } from './command.js';
import { addBackupCommand } from './commands/backup.js';
import { addCancelCommand } from './commands/job.js';
import { addChainCommand } from './commands/show.js';
import { addCompletionCommand } from './commands/completion.js';
import { addConsolidateCommand } from './commands/consolidate.js';
import { addDeleteCommand } from './commands/delete.js';
import { addJobCommand } from './commands/job.js';
import { addJobsCommand } from './commands/jobs.js';
import { addListCommand } from './commands/list.js';
import { addPointsCommand } from './commands/points.js';
import { addPolicyCommand } from './commands/policy.js';
import { addProtectCommand } from './commands/protect.js';
import { addRepoCommand } from './commands/repo.js';
import { addRestoreCommand } from './commands/restore.js';
import { addShowCommand } from './commands/show.js';
import { addSpaceCommand } from './commands/space.js';
import { addTokenCommand } from './commands/token.js';
import { addValidateCommand } from './commands/validate.js';
import { addVmCommand } from './commands/vm.js';
import { addWebhookCommand } from './commands/webhook.js';
import { renderError, renderProblem } from './errorReport.js';
import type { CliIo } from './io.js';

const USAGE_EXIT_CODE = 2;

/**
 * Runs one command line.
 * @param args without `node` and the script
 * @param addFirst adds commands that the API does not serve: `up`, `down`, `status`
 * @returns the exit code: 0, that of the error's code in the registry, 2 for a wrong command line
 */
export async function runCli(
  args: readonly string[],
  io: CliIo,
  addFirst: (program: Command) => void = () => undefined,
): Promise<number> {
  const json = args.includes('--json');
  const program = createProgram(io, json, addFirst);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return reportUsage(error, io, json);
    const known = asStrataError(error);
    io.err(json ? renderProblem(known) : renderError(known));
    return known.exitCode;
  }
}

/** All commands of the API, and what `addFirst` adds. */
export function createProgram(
  io: CliIo,
  json: boolean,
  addFirst: (program: Command) => void = () => undefined,
): Command {
  const program = new Command('strata')
    .description('VM disk backups into QCOW2 chains')
    .exitOverride()
    .showHelpAfterError('(strata help shows the commands, strata help COMMAND its options)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: io.out,
      // In JSON mode the problem document says it.
      writeErr: (text) => (json ? undefined : io.err(text)),
      getOutHelpWidth: () => io.columns(),
      getErrHelpWidth: () => io.columns(),
    });
  addGlobalOptions(program);
  addFirst(program);
  addRepoCommand(program, io);
  addVmCommand(program, io);
  addBackupCommand(program, io);
  addListCommand(program, io);
  addShowCommand(program, io);
  addChainCommand(program, io);
  addPointsCommand(program, io);
  addValidateCommand(program, io);
  addConsolidateCommand(program, io);
  addDeleteCommand(program, io);
  addSpaceCommand(program, io);
  addRestoreCommand(program, io);
  addCancelCommand(program, io);
  addJobsCommand(program, io);
  addJobCommand(program, io);
  addPolicyCommand(program, io);
  addProtectCommand(program, io);
  addTokenCommand(program, io);
  addWebhookCommand(program, io);
  addCompletionCommand(program, io);
  return program;
}

/** commander has printed its message (or the help) already. */
function reportUsage(error: CommanderError, io: CliIo, json: boolean): number {
  if (error.exitCode === 0) return 0;
  if (json) {
    io.err(
      renderProblem(
        new StrataError('invalid_request', error.message.replace(/^error: /, ''), { cause: error }),
      ),
    );
  }
  return USAGE_EXIT_CODE;
}
