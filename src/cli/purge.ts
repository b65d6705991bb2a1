// `springhouse purge`: invalidates by URL, tag or prefix, and prints how many replicas have acknowledged.
import { Option, type Command } from 'commander'
import { formatDuration, parseDuration } from '../config/units.ts'
import { askAdmin, printJson, withAdminOptions, withJsonErrors, type AdminAccess } from './admin-client.ts'
import { CommandFailure, USAGE } from './failure.ts'

interface PurgeOptions extends AdminAccess {
  readonly url: readonly string[]
  readonly tag: readonly string[]
  readonly prefix: readonly string[]
  readonly all?: boolean
  readonly soft?: boolean
  readonly tagsMatch?: 'any' | 'all'
  readonly wait?: string
  readonly json?: boolean
}

interface PurgeAnswer {
  readonly id: string
  readonly soft: boolean
  readonly replicas: { readonly live: number; readonly acknowledged: number }
  /** Absent from a listener that does not count. */
  readonly matched?: number | 'unknown'
}

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
    .option('--wait <duration>', 'how long to wait for the replicas, such as 2s (default: coherence.purgeWaitMs of the listener)')
  withAdminOptions(verb).action((options: PurgeOptions) => withJsonErrors(options.json, () => purge(options)))
}

async function purge(options: PurgeOptions): Promise<void> {
  const { url: urls, tag: tags, prefix: prefixes } = options
  const named = urls.length + tags.length + prefixes.length > 0
  if (!named && options.all !== true) throw new CommandFailure('purge: give --url, --tag, --prefix or --all', USAGE)
  if (named && options.all === true) throw new CommandFailure('purge: --all includes everything; leave out --url, --tag and --prefix', USAGE)
  const waitMs = options.wait === undefined ? undefined : waitDuration(options.wait)
  const { status, body } = await askAdmin(options, '/v1/purge', {
    body: {
      ...(urls.length > 0 && { urls }),
      ...(tags.length > 0 && { tags }),
      ...(prefixes.length > 0 && { prefixes }),
      ...(options.all === true && { all: true }),
      ...(options.soft === true && { soft: true }),
      ...(options.tagsMatch !== undefined && { tagsMatch: options.tagsMatch }),
      ...(waitMs !== undefined && { waitMs }),
    },
    // The response arrives after the wait. Without --wait, the listener's own setting may be long.
    timeoutMs: (waitMs ?? 300_000) + 10_000,
  })
  if (options.json === true) printJson(body)
  const { id, soft, replicas, matched } = body as PurgeAnswer
  if (status === 202 && replicas.acknowledged === replicas.live) {
    throw new CommandFailure(
      `recorded (id ${id}) and acknowledged by all of ${count(replicas.live)}, but no Redis replica confirmed it in time: if the Redis master fails, the purge may be lost`,
    )
  }
  if (status === 202) {
    throw new CommandFailure(
      `recorded (id ${id}), but only ${replicas.acknowledged} of ${count(replicas.live)} acknowledged ${waitMs === undefined ? 'in time' : `within ${formatDuration(waitMs)}`}`,
    )
  }
  if (options.json !== true)
    process.stdout.write(`${soft ? 'marked stale' : 'purged'} (id ${id}), acknowledged by ${replicas.acknowledged} of ${count(replicas.live)}${matchedText(matched)}\n`)
}

function matchedText(matched: number | 'unknown' | undefined): string {
  if (matched === undefined) return ''
  if (matched === 'unknown') return '; matched responses: unknown'
  return `; matched ${matched === 1 ? '1 stored response' : `${matched} stored responses`}`
}

function count(replicas: number): string {
  return replicas === 1 ? '1 replica' : `${replicas} replicas`
}

function waitDuration(text: string): number {
  const waitMs = /^\d{1,9}$/.test(text) ? Number(text) : parseDuration(text)
  if (waitMs === undefined) throw new CommandFailure(`purge: --wait takes a duration such as 2s or 500ms, not ${text}`, USAGE)
  return waitMs
}
