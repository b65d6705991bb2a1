// The command line without its actions: reads arguments as the program does, and does nothing.
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { root } from './blocks.ts'

type Add = (program: Command) => void

/** Each verb of the program, as src/cli/main.ts adds it. */
async function program(): Promise<Command> {
  const made = new Command('springhouse').exitOverride().configureOutput({ outputError: () => undefined, writeOut: () => undefined, writeErr: () => undefined })
  for (const [, name = '', file = ''] of readFileSync(`${root}src/cli/main.ts`, 'utf8').matchAll(/^import \{ (add\w+) \} from '\.\/([\w/-]+)\.ts'$/gm)) {
    const module = (await import(new URL(`../../src/cli/${file}.js`, import.meta.url).href)) as Record<string, Add>
    ;(module[name] as Add)(made)
  }
  if (!made.commands.some(command => command.name() === 'demo')) made.command('demo')
  silence(made)
  return made
}

function silence(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => undefined, writeOut: () => undefined, writeErr: () => undefined })
  if (command.commands.length === 0) command.action(() => undefined)
  for (const each of command.commands) silence(each)
}

/** Returns what is wrong with the arguments of a command; undefined if the program would begin with it. */
export async function argumentProblem(args: readonly string[]): Promise<string | undefined> {
  if (args[0] === '--help' || args[0] === '--version') return undefined
  try {
    // Anew for each: commander keeps the values of options.
    await (await program()).parseAsync(args, { from: 'user' })
    return undefined
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? undefined : error.message
    throw error
  }
}
