#!/usr/bin/env node
// The command: verbs, and how each ends.
import { existsSync, readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { ConfigError, problemLine } from '../config/problem.ts'
import { safeMessage } from '../error-summary.ts'
import { addCheck } from './check.ts'
import { addExplain } from './explain.ts'
import { CommandFailure, FAILED, say, USAGE } from './failure.ts'
import { addPurge } from './purge.ts'
import { addServe } from './serve.ts'
import { addStats } from './stats.ts'

const program = new Command('springhouse')
  .description('A shared HTTP cache in front of stateless APIs.')
  .version(packageVersion())
  .exitOverride() // throws instead of exiting: every end is decided below
  .configureOutput({ outputError: (text) => say(text.trim().replace(/^error: /, '').replaceAll('\n', ' ')) })
addServe(program)
program.command('demo')
  .description('start two small APIs, and the proxy in front of them, to try things with')
  .action(async () => {
    const { demo } = await import('./demo.ts')
    await demo()
  })
addCheck(program)
addPurge(program)
addExplain(program)
addStats(program)

// `springhouse stats | head`: whoever read has had enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await program.parseAsync()
} catch (error) {
  const code = end(error)
  // A start that failed half-way may have left listeners and connections, which would keep the process.
  if (code !== 0) process.exit(code)
}

/** Tells why the command ended, and with which exit code: 0 done, 1 failed, 2 usage. */
function end(error: unknown): number {
  if (error instanceof CommanderError) {
    // It has printed help, version or error already. Help that nobody asked for (no verb) is an error to it, too.
    return error.exitCode === 0 ? 0 : USAGE
  }
  if (error instanceof CommandFailure) {
    for (const line of error.lines) say(line)
    return error.exitCode
  }
  if (error instanceof ConfigError) {
    for (const problem of error.problems) say(`config: ${problemLine(problem)}`)
    return FAILED
  }
  say(safeMessage(error))
  return FAILED
}

function packageVersion(): string {
  // Compiled, this file is two or three directories below package.json.
  const file = ['../../package.json', '../../../package.json'].map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url))
  return file === undefined ? 'unknown' : (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
