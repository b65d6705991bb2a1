// `springhouse explain`: shows the decision for a request now, its reasons, what to change, and why responses were not stored.
import type { Command } from 'commander'
import { formatDuration, formatSize } from '../config/units.ts'
import type { ExplainedReason, ExplainedStep, ExplainedUnstored, ExplainedVariant, Explanation, ShownField, Tried } from '../exchange/explain/explanation.ts'
import { adminVerb, askAdmin, type AdminAccess } from './admin-client.ts'
import { columns, printable } from './columns.ts'
import { USAGE } from './exit-codes.ts'
import { CommandFailure } from './failure.ts'
import { painted, printJson } from './output.ts'

interface ExplainOptions extends AdminAccess {
  readonly header: readonly string[]
  readonly method?: string
  readonly try?: boolean
}

export function addExplain(program: Command): void {
  const verb = program.command('explain')
    .description('show the decision for a request now, what is stored for it, and what to change')
    .argument('<url>', 'absolute URL, as clients request it')
    .option('-H, --header <field>', 'request field, as `name: value` (repeatable)', (value: string, before: string[]) => [...before, value], [])
    .option('-X, --method <method>', 'request method (default: GET)')
    .option('--try', 'send one GET to the origin and judge its response; nothing is stored, and the token needs the scope purge')
  adminVerb<ExplainOptions>(verb, explain).addHelpText('after', `
Examples:
  springhouse explain https://api.example.com/v1/items?page=2
  springhouse explain https://api.example.com/v1/me -H 'Cookie: sid=1' --try`)
}

async function explain(options: ExplainOptions, url = ''): Promise<void> {
  const plain = options.header.length === 0 && options.method === undefined && options.try !== true
  const { body } = plain
    ? await askAdmin(options, `/v1/explain?url=${encodeURIComponent(url)}`)
    : await askAdmin(options, '/v1/explain', {
      body: { url, method: options.method ?? 'GET', headers: requestFields(options.header), ...(options.try === true && { try: true }) },
      changes: false,
    })
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

function describe(told: Explanation): string {
  const { url, method, route, key, decision, steps = [], variants, last = [], tried } = told
  const head = columns([
    ['request', `${method} ${url}`],
    ['decision', decision.action],
    ['reason', `${decision.reason} (${decision.section})`],
    ['meaning', decision.meaning],
    ['change', decision.advice],
    ['route', route],
    ['key', key],
  ])
  const sections = [head, ...(tried === undefined ? [] : [section('tried at the origin', triedText(tried))]), section('steps', steps.map(stepLine).join('')),
    ...(last.length === 0 ? [] : [section('last responses that were not stored', last.map(unstoredText).join(''))]), variantsText(variants)]
  return sections.join('\n')
}

function section(title: string, content: string): string {
  return `${painted('bold', title)}\n${content}`
}

const marks: Readonly<Record<string, string>> = { yes: '✓', no: '✗', unknown: '?' }

function stepLine({ step, outcome, reason, section: law, of, field, value }: ExplainedStep, index: number): string {
  const mark = marks[outcome]
  const what = [mark === undefined ? outcome : '', reason ?? '',
    fieldText({ ...(of !== undefined && { of }), ...(field !== undefined && { field }), ...(value !== undefined && { value }) }),
    law === undefined ? '' : painted('quiet', `(${printable(law)})`)].filter(piece => piece !== '').join('  ')
  return `  ${index + 1} ${step.padEnd(9)} ${painted(outcome === 'no' ? 'bad' : 'good', mark ?? '→')} ${what}\n`
}

function fieldText({ of, field, value }: ShownField): string {
  if (field === undefined) return printable(value ?? '')
  return printable(`${of ?? 'response'} field ${field}${value === undefined ? '' : `: ${value}`}`)
}

function reasonText({ reason, section: law, meaning, advice }: ExplainedReason, more: string): string {
  return `    ${more}${printable(reason)} (${printable(law)}): ${printable(meaning)}\n    change: ${printable(advice)}\n`
}

function unstoredText({ atMs, replica, status, ...reason }: ExplainedUnstored): string {
  return `  ${instant(atMs)}  status ${status}  replica ${printable(replica)}\n${reasonText(reason, '')}`
}

function triedText(tried: Tried): string {
  if ('error' in tried) return `  ${painted('bad', printable(tried.error))}: ${printable(tried.meaning)}\n`
  if (!tried.stored) return `  status ${tried.status} after ${tried.ms} ms\n${reasonText(tried, 'not stored: ')}`
  return `  status ${tried.status} after ${tried.ms} ms\n    may be stored, fresh for ${duration(tried.lifetimeMs)}, tags: ${printable(tried.tags.join(' ')) || '-'}\n`
}

function variantsText(variants: readonly ExplainedVariant[]): string {
  if (variants.length === 0) return 'nothing is stored for this URL\n'
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
  return columns([['status', 'freshness', 'purges', 'age', 'lifetime', 'fresh until', 'kept until', 'bytes', 'part', 'tier', 'tags', 'vary', 'variant'], ...rows])
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
