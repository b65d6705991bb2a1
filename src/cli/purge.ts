// `springhouse purge`: invalidates by URL, tag or prefix, and says who has acknowledged it.
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
}

const collect = (value: string, before: string[]) => [...before, value]

export function addPurge(program: Command): void {
  const verb = program.command('purge')
    .description('invalidate what is stored; exit code 0 once every live replica has acknowledged it')
    .option('--url <url>', 'a URL, in all its variants (repeatable): absolute, or a path for every host', collect, [])
    .option('--tag <tag>', 'whatever carries the tag (repeatable)', collect, [])
    .option('--prefix <url>', 'every URL that begins so (repeatable)', collect, [])
    .option('--all', 'everything')
    .option('--soft', 'mark it stale, to be validated or served stale, rather than dropping it')
    .addOption(new Option('--tags-match <which>', 'with several tags: entries that carry any of them (as without this), or all').choices(['any', 'all']))
    .option('--wait <duration>', 'how long to wait for the replicas, such as 2s (the listener’s coherence.purgeWaitMs without it)')
  withAdminOptions(verb).action((options: PurgeOptions) => withJsonErrors(options.json, () => purge(options)))
}

async function purge(options: PurgeOptions): Promise<void> {
  const { url: urls, tag: tags, prefix: prefixes } = options
  const named = urls.length + tags.length + prefixes.length > 0
  if (!named && options.all !== true) throw new CommandFailure('purge: nothing is named; give --url, --tag, --prefix or --all', USAGE)
  if (named && options.all === true) throw new CommandFailure('purge: --all is everything already; leave out --url, --tag and --prefix', USAGE)
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
    // The answer comes when the wait is over; without --wait the listener may have been told to wait for long.
    timeoutMs: (waitMs ?? 300_000) + 10_000,
  })
  if (options.json === true) printJson(body)
  const { id, soft, replicas } = body as PurgeAnswer
  if (status === 202 && replicas.acknowledged === replicas.live) {
    throw new CommandFailure(`recorded (id ${id}) and acknowledged by all of ${count(replicas.live)}, but no replica of Redis had it in time: it would be lost with its server`)
  }
  if (status === 202) {
    throw new CommandFailure(`recorded (id ${id}), but only ${replicas.acknowledged} of ${count(replicas.live)} acknowledged ${waitMs === undefined ? 'in time' : `within ${formatDuration(waitMs)}`}`)
  }
  if (options.json !== true) process.stdout.write(`${soft ? 'marked stale' : 'purged'} (id ${id}), acknowledged by ${replicas.acknowledged} of ${count(replicas.live)}\n`)
}

function count(replicas: number): string {
  return replicas === 1 ? '1 replica' : `${replicas} replicas`
}

function waitDuration(text: string): number {
  const waitMs = /^\d{1,9}$/.test(text) ? Number(text) : parseDuration(text)
  if (waitMs === undefined) throw new CommandFailure(`purge: --wait takes a duration such as 2s or 500ms, not ${text}`, USAGE)
  return waitMs
}
