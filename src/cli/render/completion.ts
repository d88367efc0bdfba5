/** A command, as the words that lead to it, and what may follow: subcommands and options. */
export interface CommandWords {
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
