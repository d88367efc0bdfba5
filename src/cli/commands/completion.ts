import { Argument, type Command } from 'commander';
import { action, type CommandContext, type Output } from '../command.js';
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

/** A command, as the words that lead to it, and what may follow: subcommands and options. */
interface CommandWords {
  path: string[];
  words: string[];
}

/** A completion script; zsh takes bash's through its own `bashcompinit`. */
export function completionScript(shell: 'bash' | 'zsh', commands: readonly CommandWords[]): string {
  const globals =
    commands.find(({ path }) => path.length === 0)?.words.filter((word) => word.startsWith('-')) ?? [];
  const names = commands.filter(({ path }) => path.length > 0).map(({ path }) => path.join(' '));
  const cases = commands.map(({ path, words }) => {
    const all = [...new Set([...words, ...(path.length === 0 ? [] : globals)])];
    return `    '${path.join(' ')}') words='${all.join(' ')}' ;;`;
  });
  const head = shell === 'zsh' ? ['autoload -U +X bashcompinit && bashcompinit'] : [];
  return [
    ...head,
    '_strata() {',
    "  local current=${COMP_WORDS[COMP_CWORD]} command='' word words=''",
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    case "${command:+$command }$word" in',
    `      ${names.map((name) => `'${name}'`).join('|')}) command="\${command:+$command }$word" ;;`,
    '    esac',
    '  done',
    '  case "$command" in',
    ...cases,
    '  esac',
    '  if [[ $current != -* && $command != "" && $words != [a-z]* ]]; then',
    '    COMPREPLY=($(compgen -f -- "$current"))',
    '  else',
    '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '  fi',
    '}',
    'complete -o filenames -F _strata strata',
    '',
  ].join('\n');
}
