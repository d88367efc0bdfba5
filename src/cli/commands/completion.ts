import { Argument, type Command } from 'commander';
import { action, type CommandContext, type Output } from '../command.js';
import { completionScript, type CommandWords } from '../render/completion.js';
import type { CliIo } from '../io.js';

/** `strata completion bash|zsh` */
export function addCompletionCommand(program: Command, io: CliIo): void {
  program
    .command('completion')
    .description('print a completion script: source <(strata completion bash)')
    .addArgument(new Argument('<shell>', 'for which shell').choices(['bash', 'zsh']))
    .action(
      action(io, (_context: CommandContext, shell: 'bash' | 'zsh'): Promise<Output> => {
        const script = completionScript(shell, wordsOf(program, []));
        return Promise.resolve({ json: { shell, script }, text: script });
      }),
    );
}

/** Every command with the words that may follow it. Options of the program itself may follow anywhere. */
function wordsOf(command: Command, path: string[]): CommandWords[] {
  const options = command.options.flatMap((option) => (option.long ? [option.long] : []));
  const names = command.commands.map((child) => child.name());
  const own = { path, words: [...names, ...options, '--help'] };
  return [own, ...command.commands.flatMap((child) => wordsOf(child, [...path, child.name()]))];
}
