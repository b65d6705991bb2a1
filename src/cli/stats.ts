// `springhouse stats`: prints the statistics of a replica, once or every second.
import { setTimeout } from 'node:timers/promises'
import type { Command } from 'commander'
import { askAdmin, printJson, withAdminOptions, withJsonErrors, type AdminAccess } from './admin-client.ts'
import { columns } from './columns.ts'

interface StatsOptions extends AdminAccess {
  readonly watch?: boolean
  readonly json?: boolean
}

const refreshMs = 1000

export function addStats(program: Command): void {
  const verb = program.command('stats')
    .description('print the statistics of a replica')
    .option('--watch', 'print again every second, until Ctrl-C')
  withAdminOptions(verb).action((options: StatsOptions) => withJsonErrors(options.json, () => stats(options)))
}

async function stats(options: StatsOptions): Promise<void> {
  // Ctrl-C is the normal end of a watch, so it exits with 0.
  if (options.watch === true) process.once('SIGINT', () => process.exit(0))
  for (;;) {
    const { body } = await askAdmin(options, '/v1/stats')
    // Moves to the top and clears the screen, without flicker.
    if (options.watch === true && options.json !== true && process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[J')
    if (options.json === true) printJson(body)
    else process.stdout.write(columns(leaves(body, '')))
    if (options.watch !== true) return
    await setTimeout(refreshMs)
  }
}

/** Returns every value with its path, including values that this program does not know. */
function leaves(value: unknown, path: string): [path: string, value: string][] {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return [[path, value.join(' ') || '-']]
  if (typeof value !== 'object' || value === null) return [[path, String(value ?? '-')]]
  return Object.entries(value).flatMap(([name, member]) => leaves(member, path === '' ? name : `${path}.${name}`))
}
