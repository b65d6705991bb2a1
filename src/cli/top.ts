// `springhouse top`: prints the keys, tags, routes or reasons with most requests, misses, bytes or origin time of the last minutes.
import { setTimeout } from 'node:timers/promises'
import { Option, type Command } from 'commander'
import { adminVerb, askAdmin, type AdminAccess } from './admin-client.ts'
import { columns } from './columns.ts'
import { grouped, percent, readableBytes } from './numbers.ts'
import { onTerminal, printJson, printJsonLine } from './output.ts'
import { readableDuration } from '../policy/reason-text.ts'

interface TopOptions extends AdminAccess {
  readonly of: string
  readonly by: string
  readonly limit?: string
  readonly watch?: boolean
  readonly fleet?: boolean
}

interface Top {
  readonly windowMs: number
  readonly sampledOneIn: number
  readonly items: readonly { readonly name: string; readonly value: number; readonly error?: number; readonly share?: number | null; readonly hitRatio?: number | null }[]
}

const refreshMs = 1000

export function addTop(program: Command): void {
  const verb = program.command('top')
    .description('print what is requested, missed, sent or waited for most')
    .addOption(new Option('--of <what>', 'the things to list').choices(['keys', 'tags', 'routes', 'reasons']).default('keys'))
    .addOption(new Option('--by <measure>', 'the measure to sort by').choices(['requests', 'misses', 'bytes', 'originMs']).default('requests'))
    .option('--limit <count>', 'most rows')
    .option('--watch', 'print again every second, until Ctrl-C')
    .option('--fleet', 'all replicas together')
  adminVerb<TopOptions>(verb, top).addHelpText('after', `
Examples:
  springhouse top --by originMs        the requests that cost the origin most time
  springhouse top --of reasons --by misses --fleet`)
}

async function top(options: TopOptions): Promise<void> {
  const query = new URLSearchParams({ of: options.of, by: options.by, ...(options.limit !== undefined && { limit: options.limit }),
    ...(options.fleet === true && { scope: 'fleet' }) })
  for (;;) {
    const { body } = await askAdmin(options, `/v1/top?${query}`)
    if (options.json === true) (options.watch === true ? printJsonLine : printJson)(body)
    else {
      if (options.watch === true && onTerminal()) process.stdout.write('\u001b[H\u001b[J')
      process.stdout.write(describe(body as Top, options))
    }
    if (options.watch !== true) return
    await setTimeout(refreshMs)
  }
}

function describe({ windowMs, sampledOneIn, items }: Top, { of, by }: TopOptions): string {
  const told = `${of} by ${by}, last ${readableDuration(windowMs)}${sampledOneIn > 1 ? `, one request in ${sampledOneIn} sampled` : ''}\n`
  if (items.length === 0) return `${told}nothing yet\n`
  const shown = (value: number): string => (by === 'bytes' ? readableBytes(value) : by === 'originMs' ? readableDuration(value) : grouped(value))
  const rows = items.map(({ name, value, error = 0, share, hitRatio }) => [`${shown(value)}${error > 0 ? ` ±${shown(error)}` : ''}`, percent(share), percent(hitRatio), name])
  return `${told}${columns([[by, 'share', 'hit ratio', of], ...rows])}`
}
