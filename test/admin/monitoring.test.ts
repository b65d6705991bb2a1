// The Grafana board and the Prometheus rules in config/: each metric that they name is scraped, with the labels that they use.
import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import tap from 'tap'
import { parse } from 'yaml'
import { listen } from './support.ts'

// npm and tap run from the root of the repository.
const rulesFile = 'config/prometheus/springhouse.rules.yml'
const boardFile = 'config/grafana/springhouse.json'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

interface Panel {
  readonly title: string
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[]
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
}

interface Board {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
}

async function rules(): Promise<readonly Rule[]> {
  const { groups } = parse(await readFile(rulesFile, 'utf8')) as { groups: { rules: Rule[] }[] }
  return groups.flatMap(group => group.rules)
}

const metricsIn = (text: string): string[] => Array.from(text.matchAll(/\b(?:springhouse|process|nodejs)_\w+/g), ([name]) => name)

/** The labels that Prometheus adds to each series, and the one of several workers. */
const always = ['job', 'instance', 'worker']

/** The labels of each series that a scrape has; a histogram has three kinds. */
async function scraped(t: Parameters<typeof listen>[0]): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const { ask } = await listen(t)
  const series = new Map<string, Set<string>>()
  for (const [, name = '', labels = ''] of (await ask('/metrics')).text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = series.get(name) ?? new Set(always)
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label)
    series.set(name, known)
  }
  return series
}

/** The labels by which an expression selects and groups. */
function labelsIn(expression: string): string[] {
  const selected = Array.from(expression.matchAll(/(\w+)(?:=~|!~|!=|=)"/g), ([, label]) => label as string)
  return [...selected, ...Array.from(expression.matchAll(/by \(([^)]*)\)/g), ([, list = '']) => list.split(/,\s*/)).flat()]
}

tap.test('the board names metrics that are scraped, and labels that they have', async (t) => {
  const { panels, templating } = JSON.parse(await readFile(boardFile, 'utf8')) as Board
  t.ok(panels.length >= 8, `${panels.length} panels`)
  t.same(templating.list.map(({ name }) => name), ['datasource', 'job', 'instance', 'origin'])
  const series = await scraped(t)
  const expressions = [...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)), ...templating.list.map(({ definition = '' }) => definition)]
  for (const expression of expressions) {
    for (const name of metricsIn(expression)) t.ok(series.has(name), `${name} is scraped`)
    const known = new Set(metricsIn(expression).flatMap(name => [...series.get(name) ?? []]))
    for (const label of labelsIn(expression)) t.ok(known.has(label), `${label} is a label in ${expression}`)
  }
  for (const { title, targets } of panels) {
    for (const { expr, legendFormat } of targets) {
      t.match(expr, /job=~"\$job",instance=~"\$instance"/, `${title} heeds the variables`)
      const grouped = labelsIn(expr)
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) t.ok(grouped.includes(label) || always.includes(label), `${title}: {{${label}}} is in its legend`)
    }
  }
  const overlap = panels.some((one, i) => panels.slice(i + 1).some(other => overlaps(one.gridPos, other.gridPos)))
  t.notOk(overlap, 'no panel lies over another')
})

function overlaps(one: Panel['gridPos'], other: Panel['gridPos']): boolean {
  return one.x < other.x + other.w && other.x < one.x + one.w && one.y < other.y + other.h && other.y < one.y + one.h
}

tap.test('the alerts name metrics that are scraped, and each is described in docs/monitoring.md', async (t) => {
  const series = await scraped(t)
  const page = await readFile('docs/monitoring.md', 'utf8')
  const alerts = await rules()
  t.same(alerts.map(({ alert }) => alert), ['HitRatioFell', 'OriginDown', 'PurgeUnacknowledged', 'ReplicaLagging', 'RedisDegraded', 'Evicting', 'ErrorsHigh', 'ReplicasMissing'])
  for (const { alert, expr, for: wait, labels, annotations } of alerts) {
    for (const name of metricsIn(expr)) t.ok(series.has(name), `${alert}: ${name} is scraped`)
    const known = new Set(metricsIn(expr).flatMap(name => [...series.get(name) ?? []]))
    for (const label of labelsIn(expr)) t.ok(known.has(label), `${alert}: ${label} is a label`)
    t.match(wait, /^\d+[smh]$/)
    t.match(labels, { severity: /^(warning|critical)$/ })
    t.match(annotations, { summary: /./, description: /./ })
    t.match(page, `\`${alert}\``, `${alert} is described`)
  }
})

const promtool = (process.env['PATH'] ?? '').split(delimiter).map(folder => join(folder, 'promtool')).find((file) => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
})

tap.test('Prometheus’ own tool accepts the rules', { skip: promtool === undefined && 'promtool is not installed (Debian: apt-get install prometheus)' }, async (t) => {
  t.match(execFileSync(promtool as string, ['check', 'rules', rulesFile], { encoding: 'utf8' }), /SUCCESS: 8 rules found/)
})
