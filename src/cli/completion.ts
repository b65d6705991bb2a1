// `springhouse completion`: prints a script with which a shell completes the commands and their options.
import { Argument, type Command, type Option } from 'commander'

const shells = ['bash', 'zsh', 'fish'] as const

export function addCompletion(program: Command): void {
  program.command('completion')
    .description('print a script that completes commands and options in your shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action((shell: string) => void process.stdout.write(shell === 'fish' ? fishScript(program) : shell === 'zsh' ? zshScript(program) : bashScript(program)))
    .addHelpText('after', `
Examples:
  source <(springhouse completion bash)
  springhouse completion zsh > "\${fpath[1]}/_springhouse"
  springhouse completion fish > ~/.config/fish/completions/springhouse.fish`)
}

interface Completed {
  /** The terms of a command after the program's name: `sessions list`. */
  readonly terms: string
  readonly description: string
  readonly options: readonly Option[]
  readonly commands: readonly string[]
}

/** Returns the program itself, and each of its commands. */
function commandsOf(command: Command, terms: readonly string[] = []): Completed[] {
  const { commands } = command
  return [
    { terms: terms.join(' '), description: command.description(), options: command.options, commands: commands.map(each => each.name()) },
    ...commands.flatMap(each => commandsOf(each, [...terms, each.name()])),
  ]
}

const flagsOf = ({ long, short }: Option): string[] => [long, short].filter(flag => flag !== undefined && flag !== null)

function choicesOf(completed: readonly Completed[]): Map<string, string> {
  return new Map(
    completed.flatMap(({ options }) => options.flatMap(option => (option.argChoices === undefined ? [] : [[option.long ?? '', option.argChoices.join(' ')] as const]))),
  )
}

/** Matches the terms before the cursor that are no options against the commands. Bash and zsh share it. */
function caseOf(completed: readonly Completed[]): string {
  return completed.map(({ terms, options, commands }) => `    '${terms}') terms='${[...commands, ...options.flatMap(flagsOf), '--help'].join(' ')}' ;;`).join('\n')
}

function bashScript(program: Command): string {
  const completed = commandsOf(program)
  return `# Completion of springhouse for bash.
_springhouse() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path='' word terms=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == [a-z]* ]] || break
    path="\${path:+$path }$word"
  done
  case $before in
${[...choicesOf(completed)].map(([flag, choices]) => `    ${flag}) terms='${choices}' ;;`).join('\n')}
    --config|--token-file) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  [[ -n $terms ]] || case $path in
${caseOf(completed)}
  esac
  COMPREPLY=($(compgen -W "$terms" -- "$current"))
}
complete -F _springhouse springhouse
`
}

function zshScript(program: Command): string {
  const completed = commandsOf(program)
  return `#compdef springhouse
# Completion of springhouse for zsh.
_springhouse() {
  local path='' word before=\${words[CURRENT-1]} offered=''
  for word in \${words[2,CURRENT-1]}; do
    [[ $word == [a-z]* ]] || break
    path="\${path:+$path }$word"
  done
  case $before in
${[...choicesOf(completed)].map(([flag, choices]) => `    ${flag}) offered='${choices}' ;;`).join('\n')}
    --config|--token-file) _files; return ;;
  esac
  [[ -n $offered ]] || case $path in
${caseOf(completed).replaceAll(" terms='", " offered='")}
  esac
  compadd -- \${=offered}
}
compdef _springhouse springhouse
`
}

function fishScript(program: Command): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const lines = commandsOf(program).flatMap(({ terms, options, commands }) => {
    const [first = '', second = ''] = terms.split(' ')
    const inside = terms === ''
      ? '__fish_use_subcommand'
      : second === ''
      ? `__fish_seen_subcommand_from ${first}`
      : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`
    const given = options.map(({ long, short, description, argChoices, required }) => {
      const flag = `${long === undefined ? '' : ` -l ${long.slice(2)}`}${short === undefined ? '' : ` -s ${short.slice(1)}`}`
      return `complete -c springhouse -n ${quoted(inside)}${flag}${required ? ' -r' : ''}${argChoices === undefined ? '' : ` -f -a ${quoted(argChoices.join(' '))}`} -d ${
        quoted(description)
      }`
    })
    return [...commands.map(each => `complete -c springhouse -f -n ${quoted(inside)} -a ${each}`), ...given]
  })
  return `# Completion of springhouse for fish.\n${lines.join('\n')}\n`
}
