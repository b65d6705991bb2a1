// `springhouse tail`: prints requests as they end, until Ctrl-C or until so many have come.
import type { Command } from 'commander'
import { adminVerb, durationOption, followAdmin, type AdminAccess } from './admin-client.ts'
import { printable } from './columns.ts'
import { USAGE } from './exit-codes.ts'
import { CommandFailure, say } from './failure.ts'
import { readableLatency } from './numbers.ts'
import { painted, printJsonLine } from './output.ts'

interface TailOptions extends AdminAccess {
  readonly outcome?: string
  readonly reason?: string
  readonly route?: string
  readonly host?: string
  readonly path?: string
  readonly method?: string
  readonly status?: string
  readonly slower?: string
  readonly notStored?: string
  readonly sample?: string
  readonly limit?: string
}

/** A request, as the access log has it (docs/metrics.md). */
interface Line {
  readonly time?: string
  readonly outcome?: string
  readonly reason?: string
  readonly notStored?: string
  readonly status?: number
  readonly method?: string
  readonly host?: string
  readonly target?: string
  readonly ms?: number
}

export function addTail(program: Command): void {
  const verb = program.command('tail')
    .description('print requests as they end; values of query parameters are masked')
    .option('--outcome <outcome>', 'hit, stale, revalidated, coalesced, miss, pass or error')
    .option('--reason <reason>', 'a reason of docs/reasons.md')
    .option('--not-stored <reason>', 'why the response was not stored')
    .option('--route <route>', 'the name of a route')
    .option('--host <host>', 'a host')
    .option('--path <path>', 'paths that begin with this')
    .option('--method <method>', 'a method')
    .option('--status <status>', 'a status, or a class such as 5xx')
    .option('--slower <duration>', 'requests that take at least this long, such as 500ms')
    .option('--sample <count>', 'one request in so many')
    .option('--limit <count>', 'end after so many')
  adminVerb<TailOptions>(verb, options => tail(options, verb)).addHelpText('after', `
Examples:
  springhouse tail --outcome miss --path /v1/items
  springhouse tail --status 5xx --slower 500ms --json`)
}

async function tail(options: TailOptions, verb: Command): Promise<void> {
  const { outcome, reason, route, host, path, method, status, slower, notStored, sample, limit } = options
  const most = limit === undefined ? Infinity : Number(limit)
  if (!(most >= 1)) throw new CommandFailure(`tail: --limit takes a whole number from 1, not ${limit}`, USAGE)
  const minMs = slower === undefined ? undefined : String(durationOption(verb, '--slower', slower))
  const given = Object.entries({ outcome, reason, route, host, path, method, status, minMs, notStored, sample, limit })
  const query = new URLSearchParams(given.filter((entry): entry is [string, string] => entry[1] !== undefined))
  let count = 0
  for (;;) {
    for await (const { name, data } of followAdmin(options, `/v1/tail?${query}`)) {
      if (name === 'dropped') say(`${(data as { count: number }).count} requests came too fast to be printed`)
      if (name !== 'request') continue
      if (options.json === true) printJsonLine(data)
      else process.stdout.write(lineOf(data as Line))
      if (++count >= most) return
    }
    // The listener ends each stream after a while: follow the next one.
  }
}

function lineOf({ time = '', outcome = '', reason = '', notStored, status = 0, method = '', host = '', target = '', ms }: Line): string {
  const clock = /T(\d\d:\d\d:\d\d)/.exec(time)?.[1] ?? time
  const why = notStored === undefined || notStored === reason ? reason : `${reason}, not stored: ${notStored}`
  const shown = [painted('quiet', printable(clock)), painted(status >= 500 ? 'bad' : 'good', String(status)), printable(outcome).padEnd(11), readableLatency(ms).padStart(7),
    printable(`${method} ${host}${target}`), painted('quiet', printable(why))]
  return `${shown.join('  ')}\n`
}
