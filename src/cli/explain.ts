// `springhouse explain`: shows the decision for a request now, and its reason.
import type { Command } from 'commander'
import { formatDuration, formatSize } from '../config/units.ts'
import type { ExplainedVariant, Explanation } from '../exchange/explain/explanation.ts'
import { askAdmin, printJson, withAdminOptions, withJsonErrors, type AdminAccess } from './admin-client.ts'
import { columns } from './columns.ts'
import { CommandFailure, USAGE } from './failure.ts'

interface ExplainOptions extends AdminAccess {
  readonly header: readonly string[]
  readonly method?: string
  readonly json?: boolean
}

export function addExplain(program: Command): void {
  const verb = program.command('explain')
    .description('show what is stored for a URL, and the decision for a request now')
    .argument('<url>', 'absolute URL, as clients request it')
    .option('-H, --header <field>', 'request field, as `name: value` (repeatable)', (value: string, before: string[]) => [...before, value], [])
    .option('-X, --method <method>', 'request method (default: GET)')
  withAdminOptions(verb).action((url: string, options: ExplainOptions) => withJsonErrors(options.json, () => explain(url, options)))
}

async function explain(url: string, options: ExplainOptions): Promise<void> {
  const plain = options.header.length === 0 && options.method === undefined
  const { body } = plain
    ? await askAdmin(options, `/v1/explain?url=${encodeURIComponent(url)}`)
    : await askAdmin(options, '/v1/explain', { body: { url, method: options.method ?? 'GET', headers: requestFields(options.header) } })
  if (options.json === true) printJson(body)
  else process.stdout.write(describe(body as Explanation))
}

/** Converts the fields of -H for the API. Lines of one name are joined (RFC 9110 §5.3). */
function requestFields(lines: readonly string[]): Record<string, string> {
  const fields = new Map<string, string>()
  for (const line of lines) {
    const [, name, value = ''] = /^([^\s:]+):\s*(.*)$/.exec(line) ?? []
    if (name === undefined) throw new CommandFailure(`explain: -H takes 'name: value', not ${line}`, USAGE)
    const before = fields.get(name.toLowerCase())
    fields.set(name.toLowerCase(), before === undefined ? value : `${before}, ${value}`)
  }
  return Object.fromEntries(fields)
}

function describe({ url, method, route, key, decision, variants }: Explanation): string {
  const head = columns([
    ['request', `${method} ${url}`],
    ['decision', decision.action],
    ['reason', `${decision.reason} (${decision.section})`],
    ['change', decision.advice],
    ['route', route],
    ['key', key],
  ])
  if (variants.length === 0) return `${head}\nnothing is stored for this URL\n`
  const rows = variants.map((each) => [
    `${each.status}`,
    each.freshness,
    each.verdict,
    duration(each.ageMs),
    duration(each.lifetimeMs),
    instant(each.freshUntilMs),
    instant(each.keepUntilMs),
    formatSize(each.bytes),
    partText(each),
    each.tier,
    each.tags.join(' ') || '-',
    text(each.vary),
    each.variant || '-',
  ])
  return `${head}\n${columns([['status', 'freshness', 'purges', 'age', 'lifetime', 'fresh until', 'kept until', 'bytes', 'part', 'tier', 'tags', 'vary', 'variant'], ...rows])}`
}

/** Formats an incomplete response like Content-Range. A `?` means that its length does not match its ranges. */
function partText({ part }: ExplainedVariant): string {
  return part === undefined ? '-' : `${part.ranges}/${part.complete ?? '*'}${part.sound ? '' : ' ?'}`
}

function text(value: unknown): string {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return '-'
  return typeof value === 'string' || typeof value === 'number' ? `${value}` : JSON.stringify(value)
}

/** Formats a duration in whole seconds. */
function duration(ms: number): string {
  return formatDuration(Math.round(ms / 1000) * 1000)
}

function instant(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z') : '-'
}
