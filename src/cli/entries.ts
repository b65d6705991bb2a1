// `springhouse entries`: lists stored responses by the beginning of their URL, or by a tag.
import type { Command } from 'commander'
import { adminVerb, askAdmin, type AdminAccess } from './admin-client.ts'
import { columns } from './columns.ts'
import { USAGE } from './exit-codes.ts'
import { CommandFailure, say } from './failure.ts'
import { readableBytes } from './numbers.ts'
import { printJson } from './output.ts'
import { readableDuration } from '../policy/reason-text.ts'

interface EntriesOptions extends AdminAccess {
  readonly prefix?: string
  readonly tag?: string
  readonly limit: string
}

interface Entry {
  readonly url: string
  readonly status: number
  readonly bytes: number
  readonly ageMs: number
  readonly lifetimeMs: number
  readonly verdict: string
  readonly tags: readonly string[]
}

interface Page {
  readonly entries: readonly Entry[]
  readonly cursor?: string
}

const mostOfPage = 1_000

export function addEntries(program: Command): void {
  const verb = program.command('entries')
    .description('list stored responses')
    .option('--prefix <url>', 'only URLs that begin with these characters: absolute, or a path for every host')
    .option('--tag <tag>', 'only responses that carry the tag')
    .option('--limit <count>', 'most responses to list', '100')
  adminVerb<EntriesOptions>(verb, entries).addHelpText('after', `
Examples:
  springhouse entries --prefix https://api.example.com/v1/ --limit 1000
  springhouse entries --tag product-7 --json`)
}

async function entries(options: EntriesOptions): Promise<void> {
  const limit = Number(options.limit)
  if (!Number.isSafeInteger(limit) || limit < 1) throw new CommandFailure(`entries: --limit takes a whole number from 1, not ${options.limit}`, USAGE)
  const found: Entry[] = []
  let cursor: string | undefined
  // A page may be short, or empty, and have a cursor nevertheless.
  do {
    const query = new URLSearchParams({
      limit: String(Math.min(mostOfPage, limit - found.length)),
      ...(options.prefix !== undefined && { prefix: options.prefix }),
      ...(options.tag !== undefined && { tag: options.tag }),
      ...(cursor !== undefined && { cursor }),
    })
    const page = (await askAdmin(options, `/v1/entries?${query}`)).body as Page
    found.push(...page.entries)
    ;({ cursor } = page)
  } while (cursor !== undefined && found.length < limit)
  if (options.json === true) return printJson({ entries: found, ...(cursor !== undefined && { cursor }) })
  const rows = found.map(({ url, status, bytes, ageMs, lifetimeMs, verdict, tags }) => [
    url,
    `${status}`,
    verdict === 'valid' ? (ageMs < lifetimeMs ? 'fresh' : 'stale') : verdict === 'dead' ? 'purged' : 'soft-purged',
    readableDuration(ageMs),
    readableDuration(lifetimeMs),
    readableBytes(bytes),
    tags.join(' ') || '-',
  ])
  process.stdout.write(found.length === 0 ? 'nothing is stored\n' : columns([['url', 'status', 'state', 'age', 'lifetime', 'bytes', 'tags'], ...rows]))
  if (cursor !== undefined) say(`there are more: raise --limit above ${limit}`)
}
