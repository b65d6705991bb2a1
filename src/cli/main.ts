#!/usr/bin/env node
// The command line: its commands and their exit codes.
import './signals.ts'
import { existsSync, readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { ConfigError, problemLine } from '../config/problem.ts'
import { safeMessage } from '../error-summary.ts'
import { addCheck } from './check.ts'
import { addCompletion } from './completion.ts'
import { addEntries } from './entries.ts'
import { addExplain } from './explain.ts'
import { FAILED, USAGE } from './exit-codes.ts'
import { CommandFailure, say } from './failure.ts'
import { addPurge } from './purge.ts'
import { addReload } from './reload.ts'
import { addServe } from './serve.ts'
import { addSessions } from './sessions.ts'
import { addStats } from './stats.ts'
import { addTail } from './tail.ts'
import { addTop } from './top.ts'
import { printJsonFailure } from './output.ts'

const program = new Command('springhouse')
  .description('A shared HTTP cache in front of stateless APIs.')
  .version(packageVersion())
  .exitOverride() // throws instead of exiting: `end` decides the exit code
  .configureOutput({ outputError: (text) => say(text.trim().replace(/^error: /, '').replaceAll('\n', ' ')) })
addServe(program)
program.command('demo')
  .description('start two small APIs with the proxy in front of them, and print commands to try')
  .action(async () => {
    const { demo } = await import('./demo.ts')
    await demo()
  })
addCheck(program)
addPurge(program)
addExplain(program)
addReload(program)
addStats(program)
addTop(program)
addTail(program)
addEntries(program)
addSessions(program)
addCompletion(program)

// In `springhouse stats | head`, `head` closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await program.parseAsync()
} catch (error) {
  const code = end(error)
  // A failed start may have left listeners and connections, which would keep the process alive.
  if (code !== 0) process.exit(code)
}

/** Prints why the command ended, and returns its exit code (exit-codes.ts). With --json, it is a document on standard output too. */
function end(error: unknown): number {
  // commander has printed help, version or error already. Help without a command is an error for it, too.
  if (error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help')) return error.exitCode === 0 ? 0 : USAGE
  const failure = failureOf(error)
  if (!(error instanceof CommanderError)) { for (const line of failure.lines) say(line) }
  if (process.argv.includes('--json')) printJsonFailure(failure, process.argv.includes('--watch') || process.argv[2] === 'tail')
  return failure.exitCode
}

function failureOf(error: unknown): CommandFailure {
  if (error instanceof CommandFailure) return error
  if (error instanceof CommanderError) return new CommandFailure(error.message.replace(/^error: /, ''), USAGE)
  if (error instanceof ConfigError) return new CommandFailure(error.problems.map((problem) => `config: ${problemLine(problem)}`))
  return new CommandFailure(safeMessage(error), FAILED)
}

function packageVersion(): string {
  // The compiled file is two or three directories below package.json.
  const file = ['../../package.json', '../../../package.json'].map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url))
  return file === undefined ? 'unknown' : (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
