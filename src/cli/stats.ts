// `springhouse stats`: prints the statistics of a replica or of the fleet on one screen, once or every second.
import { setTimeout } from 'node:timers/promises'
import type { Command } from 'commander'
import { adminVerb, askAdmin, type AdminAccess } from './admin-client.ts'
import { columns } from './columns.ts'
import { greatest, grouped, percent, readableBytes, readableLatency } from './numbers.ts'
import { onTerminal, printJson, printJsonLine } from './output.ts'
import { readableDuration } from '../policy/reason-text.ts'

interface StatsOptions extends AdminAccess {
  readonly watch?: boolean
  readonly fleet?: boolean
  readonly all?: boolean
}

/** The members that the screen shows. A listener of another version may lack some. */
interface Shown {
  readonly version?: string
  readonly uptimeMs?: number
  readonly requests?: number
  readonly hitRatio?: number | null
  readonly outcomes?: Readonly<Record<string, number>>
  readonly requestsByReason?: Readonly<Record<string, number>>
  readonly notStoredByReason?: Readonly<Record<string, number>>
  readonly originErrors?: Readonly<Record<string, number>>
  readonly fillsBegun?: number
  readonly savedOriginMs?: number
  readonly bytes?: { readonly toClients: number; readonly fromOrigins: number; readonly saved: number }
  readonly latencyMs?: Readonly<Record<string, { readonly count: number; readonly p50: number | null; readonly p99: number | null }>>
  readonly store?: { readonly kind: string; readonly entries?: number; readonly bytes?: number; readonly maxBytes?: number; readonly evictions?: number;
    readonly degraded?: readonly string[] }
  readonly purges?: number
  readonly replicas?: { readonly live: number; readonly reporting: number }
  readonly scope?: string
}

const refreshMs = 1000
const mostNames = 6

export function addStats(program: Command): void {
  const verb = program.command('stats')
    .description('print the statistics of a replica on one screen')
    .option('--watch', 'print again every second, until Ctrl-C')
    .option('--fleet', 'the statistics of all replicas together')
    .option('--all', 'every number by its name, zeros too')
  adminVerb<StatsOptions>(verb, stats)
}

async function stats(options: StatsOptions): Promise<void> {
  for (;;) {
    const { body } = await askAdmin(options, `/v1/stats${options.fleet === true ? '?scope=fleet' : ''}`)
    if (options.json === true) (options.watch === true ? printJsonLine : printJson)(body)
    else {
      // Moves to the top and clears the screen, without flicker.
      if (options.watch === true && onTerminal()) process.stdout.write('\u001b[H\u001b[J')
      process.stdout.write(columns(options.all === true ? leaves(body, '') : screen(body as Shown)))
    }
    if (options.watch !== true) return
    await setTimeout(refreshMs)
  }
}

function screen(told: Shown): string[][] {
  const { version, uptimeMs, requests = 0, hitRatio, outcomes = {}, store, bytes, latencyMs = {}, replicas } = told
  return [
    ['springhouse',
      [version ?? '', ...(uptimeMs === undefined ? [] : [`up ${readableDuration(uptimeMs)}`]),
        ...(replicas === undefined ? [] : [`${replicas.reporting} of ${replicas.live} replicas`])].join(', ')],
    ['requests', grouped(requests)],
    ['hit ratio', percent(hitRatio)],
    ['outcomes', greatest(outcomes, 7)],
    ...row('reasons', told.requestsByReason),
    ...row('not stored', told.notStoredByReason),
    ...(told.fillsBegun === undefined ? [] : [['fetches', grouped(told.fillsBegun)]]),
    ...row('origin errors', told.originErrors),
    ...(told.savedOriginMs === undefined ? [] : [['origin time', `${readableDuration(told.savedOriginMs)} saved`]]),
    ...(bytes === undefined
      ? []
      : [['bytes', `${readableBytes(bytes.toClients)} to clients, ${readableBytes(bytes.fromOrigins)} from origins, ${readableBytes(bytes.saved)} saved`]]),
    ...Object.entries(latencyMs).filter(([, { count }]) => count > 0).map(([outcome, { p50, p99 }],
      i) => [i === 0 ? 'latency' : '', `${outcome.padEnd(11)} p50 ${readableLatency(p50)}, p99 ${readableLatency(p99)}`]
    ),
    ...(store === undefined ? [] : [['store', storeText(store)]]),
    ['degraded', store?.degraded?.join(', ') || 'nothing'],
    ...(told.purges === undefined ? [] : [['purges', grouped(told.purges)]]),
  ]
}

function row(name: string, counts: Readonly<Record<string, number>> | undefined): string[][] {
  return counts === undefined || Object.values(counts).every(count => count === 0) ? [] : [[name, greatest(counts, mostNames)]]
}

function storeText({ kind, entries, bytes, maxBytes, evictions }: NonNullable<Shown['store']>): string {
  return [kind, ...(entries === undefined ? [] : [`${grouped(entries)} entries`]),
    ...(bytes === undefined ? [] : [`${readableBytes(bytes)}${maxBytes === undefined ? '' : ` of ${readableBytes(maxBytes)}`}`]),
    ...(evictions === undefined ? [] : [`${grouped(evictions)} evicted`])].join(', ')
}

/** Returns every value with its path, including values that this program does not know. */
function leaves(value: unknown, path: string): [path: string, value: string][] {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return [[path, value.join(' ') || '-']]
  if (typeof value !== 'object' || value === null) return [[path, String(value ?? '-')]]
  return Object.entries(value).flatMap(([name, member]) => leaves(member, path === '' ? name : `${path}.${name}`))
}
