// `springhouse stats`: the numbers of a replica, once or every second.
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
    .description('show the numbers of a replica')
    .option('--watch', 'again every second, until Ctrl-C')
  withAdminOptions(verb).action((options: StatsOptions) => withJsonErrors(options.json, () => stats(options)))
}

async function stats(options: StatsOptions): Promise<void> {
  // Ctrl-C is how a watch is meant to end, so it ends well.
  if (options.watch === true) process.once('SIGINT', () => process.exit(0))
  for (;;) {
    const { body } = await askAdmin(options, '/v1/stats')
    // Back to the top of the screen, and clear from there: no flicker, and nothing of the last look remains.
    if (options.watch === true && options.json !== true && process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[J')
    if (options.json === true) printJson(body)
    else process.stdout.write(columns(leaves(body, '')))
    if (options.watch !== true) return
    await setTimeout(refreshMs)
  }
}

/** Every value with its path: whatever the API counts is shown, also what this program does not know of. */
function leaves(value: unknown, path: string): [path: string, value: string][] {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return [[path, value.join(' ') || '-']]
  if (typeof value !== 'object' || value === null) return [[path, String(value ?? '-')]]
  return Object.entries(value).flatMap(([name, member]) => leaves(member, path === '' ? name : `${path}.${name}`))
}
