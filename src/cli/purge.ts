// `springhouse purge`: invalidates by URL, tag or prefix, and prints how many replicas have acknowledged.
import { Option, type Command } from 'commander'
import { formatDuration } from '../config/units.ts'
import { adminVerb, askAdmin, durationOption, type AdminAccess } from './admin-client.ts'
import { showAcknowledgements } from './acknowledgements.ts'
import { UNCONFIRMED, USAGE } from './exit-codes.ts'
import { CommandFailure } from './failure.ts'
import { onTerminal, printJson } from './output.ts'

interface PurgeOptions extends AdminAccess {
  readonly url: readonly string[]
  readonly tag: readonly string[]
  readonly prefix: readonly string[]
  readonly all?: boolean
  readonly soft?: boolean
  readonly tagsMatch?: 'any' | 'all'
  readonly wait?: number
}

interface PurgeAnswer {
  readonly id: string
  readonly soft: boolean
  readonly replicas: { readonly live: number; readonly acknowledged: number }
  /** Absent from a listener that does not count. */
  readonly matched?: number | 'unknown'
}

/** The state of a purge when the wait ends. */
interface Outcome extends PurgeAnswer {
  readonly confirmed: boolean
}

/** The longest wait that a listener may be configured for, in practice. */
const longestDefaultWaitMs = 300_000

const collect = (value: string, before: string[]) => [...before, value]

export function addPurge(program: Command): void {
  const verb = program.command('purge')
    .description('invalidate stored responses; exit code 0 once every live replica has acknowledged')
    .option('--url <url>', 'URL with all its variants (repeatable): absolute, or a path for every host', collect, [])
    .option('--tag <tag>', 'all responses that carry the tag (repeatable)', collect, [])
    .option('--prefix <url>', 'all URLs that begin with these characters: /api is /apikeys too (repeatable)', collect, [])
    .option('--all', 'all stored responses')
    .option('--soft', 'mark responses stale, to be revalidated or served stale, instead of invalidating them')
    .addOption(new Option('--tags-match <which>', 'with several tags: responses that carry any of them (default), or all').choices(['any', 'all']))
  verb.addOption(
    new Option('--wait <duration>', 'how long to wait for the replicas, such as 2s (default: coherence.purgeWaitMs of the listener)').argParser(text =>
      durationOption(verb, '--wait', text)
    ),
  )
  adminVerb<PurgeOptions>(verb, purge).addHelpText('after', `
Examples:
  springhouse purge --tag product-7 --tag product-8
  springhouse purge --url https://api.example.com/v1/items --soft
  springhouse purge --prefix /v1/items/ --wait 10s

Exit codes: 0 applied by every live replica, 3 recorded and not confirmed, 4 nothing was purged, 5 token refused,
6 listener out of reach, 7 unknown: run it again. With 3, 4, 6 and 7 it is safe to run it again.`)
}

async function purge(options: PurgeOptions): Promise<void> {
  const { url: urls, tag: tags, prefix: prefixes, wait: waitMs } = options
  const named = urls.length + tags.length + prefixes.length > 0
  if (!named && options.all !== true) throw new CommandFailure('purge: give --url, --tag, --prefix or --all', USAGE)
  if (named && options.all === true) throw new CommandFailure('purge: --all includes everything; leave out --url, --tag and --prefix', USAGE)
  refuseWildcards(urls, prefixes)
  // On a terminal the acknowledgements are shown as they come, so the request itself does not wait for them.
  const isShown = options.json !== true && onTerminal()
  const { status, body } = await askAdmin(options, '/v1/purge', {
    body: {
      ...(urls.length > 0 && { urls }),
      ...(tags.length > 0 && { tags }),
      ...(prefixes.length > 0 && { prefixes }),
      ...(options.all === true && { all: true }),
      ...(options.soft === true && { soft: true }),
      ...(options.tagsMatch !== undefined && { tagsMatch: options.tagsMatch }),
      ...(isShown ? { waitMs: 0 } : waitMs !== undefined && { waitMs }),
    },
    waitMs: isShown ? 0 : waitMs ?? longestDefaultWaitMs,
  })
  if (options.json === true) printJson(body)
  const receipt = { ...body as PurgeAnswer, confirmed: status === 200 }
  const outcome = isShown && !receipt.confirmed ? { ...receipt, ...await showAcknowledgements(options, receipt.id, waitMs) } : receipt
  if (!outcome.confirmed) throw new CommandFailure(unconfirmedLine(outcome, waitMs), UNCONFIRMED)
  if (options.json !== true) {
    const { soft, id, replicas, matched } = outcome
    process.stdout.write(`${soft ? 'marked stale' : 'purged'} (id ${id}), acknowledged by ${replicas.acknowledged} of ${count(replicas.live)}${matchedText(matched)}\n`)
  }
}

/** A pattern would be taken for a URL with this character, match nothing, and seem to have worked. */
function refuseWildcards(urls: readonly string[], prefixes: readonly string[]): void {
  const url = urls.find(each => each.includes('*'))
  if (url !== undefined)
    throw new CommandFailure(
      `purge: --url takes a whole URL, and * is no wildcard: ${url}. Use --prefix ${
        url.slice(0, url.indexOf('*')) || '/'
      } for every URL that begins so, --tag for responses of one kind, or --all`,
      USAGE,
    )
  const prefix = prefixes.find(each => each.endsWith('*'))
  if (prefix !== undefined)
    throw new CommandFailure(`purge: --prefix needs no *, because it takes every URL that begins so: use --prefix ${withoutStars(prefix) || '/'}`, USAGE)
}

function withoutStars(prefix: string): string {
  let end = prefix.length
  while (prefix[end - 1] === '*') end--
  return prefix.slice(0, end)
}

function unconfirmedLine({ id, replicas }: Outcome, waitMs: number | undefined): string {
  if (replicas.acknowledged === replicas.live)
    return `recorded (id ${id}) and acknowledged by all of ${count(replicas.live)}, but no Redis replica confirmed it in time: if the Redis master fails, the purge may be lost`
  return `recorded (id ${id}), but only ${replicas.acknowledged} of ${count(replicas.live)} acknowledged ${waitMs === undefined ? 'in time' : `within ${formatDuration(waitMs)}`}`
}

function matchedText(matched: number | 'unknown' | undefined): string {
  if (matched === undefined) return ''
  if (matched === 'unknown') return '; matched responses: unknown'
  return `; matched ${matched === 1 ? '1 stored response' : `${matched} stored responses`}`
}

function count(replicas: number): string {
  return replicas === 1 ? '1 replica' : `${replicas} replicas`
}
