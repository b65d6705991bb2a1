// Overview: is the cache helping, what is not served from it and why, and what needs the operator.
import type { VNode } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { linkTo } from '../address.ts'
import { get } from '../api.ts'
import { Chart, type Line } from '../chart.ts'
import { html } from '../html.ts'
import { Alert, Choice, OutcomeKey, Table, Tile, Waiting, type Column } from '../parts.ts'
import { usePoll } from '../polling.ts'
import { outcomes, type Counts, type History, type RouteRow, type Scope, type Series, type Stats } from '../shapes.ts'
import { bytes, count, duration, percent, rate, visible } from '../words.ts'
import { needsOf, type Health, type Need } from './needs.ts'

/** Sums a series; unknown steps count nothing. */
const total = (series: Series | undefined): number => (series ?? []).reduce<number>((sum, value) => sum + (value ?? 0), 0)

/** The last value that is known; the last step, which has not ended, is left out. */
const latest = (series: Series | undefined): number | null => (series ?? []).slice(0, -1).findLast((value) => value !== null) ?? null

interface Summary {
  readonly requests: number
  readonly counts: Counts
  readonly hitRatio: number | null
  readonly savedPerHourMs: number
  readonly savedBytesShare: number | null
  readonly seconds: number
}

/** Sums a history. `nowMs` bounds the step that has not ended. */
function summaryOf({ fromMs, stepMs, series }: History, nowMs: number): Summary {
  const counts = Object.fromEntries(outcomes.map((outcome) => [outcome, total(series[outcome])]))
  const requests = outcomes.reduce((sum, outcome) => sum + (counts[outcome] ?? 0), 0)
  const judged = requests - (counts['pass'] ?? 0)
  const [toClients, fromOrigins] = [total(series['bytesToClients']), total(series['bytesFromOrigins'])]
  const known = (series['hit'] ?? []).findIndex((value) => value !== null)
  const seconds = known < 0 ? 1 : Math.max(1, (nowMs - fromMs - known * stepMs) / 1000)
  return {
    requests,
    counts,
    hitRatio: judged === 0 ? null : ((counts['hit'] ?? 0) + (counts['stale'] ?? 0)) / judged,
    savedPerHourMs: (total(series['savedOriginMs']) / seconds) * 3600,
    savedBytesShare: toClients === 0 ? null : Math.max(0, 1 - fromOrigins / toClients),
    seconds,
  }
}

/** The lines of the stacked chart: requests a second by outcome. The last step has not ended, so it is divided by its part until now. */
function requestLines({ series, fromMs, stepMs }: History, nowMs: number): Line[] {
  return outcomes.map((outcome) => {
    const values = series[outcome] ?? []
    const last = values.length - 1
    const lastMs = Math.min(stepMs, Math.max(1_000, nowMs - fromMs - last * stepMs))
    return { name: outcome, colour: outcome, values: values.map((value, i) => (value === null ? null : value / ((i === last ? lastMs : stepMs) / 1000))) }
  })
}

const latencyLines = ({ series }: History): Line[] => [
  { name: 'p50', colour: 'hit', values: series['p50'] ?? [] },
  { name: 'p99', colour: 'miss', dash: [6, 4], values: series['p99'] ?? [] },
]

interface Reason {
  readonly reason: string
  readonly route: string
  readonly times: number
}

const reasonsOf = (routes: readonly RouteRow[]): Reason[] =>
  routes.flatMap(({ route, notStored }) => Object.entries(notStored).filter(([, times]) => times > 0).map(([reason, times]) => ({ reason, route, times })))

const needLine = ({ kind, text, link, more }: Need): VNode =>
  html`<li class=${kind}><span aria-hidden="true">${kind === 'danger' ? '⚠' : '✎'}</span> ${visible(text)} <a href=${link}>${more}</a></li>`

const reasonColumns: readonly Column<Reason>[] = [
  { name: 'reason', cell: ({ reason }) => html`<code>${reason}</code>`, sort: ({ reason }) => reason },
  { name: 'route', cell: ({ route }) => html`<a href=${linkTo('routes', { route })}>${route}</a>`, sort: ({ route }) => route },
  { name: 'times', number: true, cell: ({ times }) => count(times), sort: ({ times }) => times },
  { name: 'requests', cell: ({ reason, route }) => html`<a href=${linkTo('traffic', { reason, route })}>watch requests</a>` },
]

const keyOf = ({ route, reason }: Reason): string => `${route} ${reason}`

/** The tiles and charts of a history. */
function Numbers({ data, stats }: { readonly data: History; readonly stats: Stats | undefined }): VNode {
  const summary = useMemo(() => summaryOf(data, Date.now()), [data])
  const lines = useMemo(() => ({ requests: requestLines(data, Date.now()), latency: latencyLines(data) }), [data])
  const { fromMs, stepMs, series } = data
  const times = { fromMs, stepMs }
  const sinceStart = `p99 now; hit ${duration(stats?.latencyMs['hit']?.p99)}, miss ${duration(stats?.latencyMs['miss']?.p99)} since the start`
  return html`<dl class="tiles">
      <${Tile} name="Hit ratio" metric="hit-ratio" value=${percent(summary.hitRatio)} note="of the requests that were not passed" />
      <${Tile} name="Requests" metric="requests" value=${count(summary.requests)} note=${`in ${duration((series['hit'] ?? []).length * stepMs)}`} />
      <${Tile} name="Requests a second" metric="requests-per-second" value=${rate(summary.requests / summary.seconds)} />
      <${Tile} name="Origin time saved" metric="origin-saved" value=${duration(summary.savedPerHourMs)} note="in an hour, at this rate" />
      <${Tile} name="Bytes saved" metric="bytes-saved" value=${percent(summary.savedBytesShare)} note=${`${bytes(total(series['bytesToClients']))} to clients`} />
      <${Tile} name="Latency" metric="p99" value=${duration(latest(series['p99']))} note=${sinceStart} />
    </dl>
    <${OutcomeKey} counts=${summary.counts} />
    <div class="pair">
      <${Chart} title="Requests a second, by outcome" ...${times} lines=${lines.requests} stacked format=${rate} />
      <${Chart} title="Latency of all requests (logarithmic)" ...${times} lines=${lines.latency} logarithmic format=${duration} />
    </div>`
}

export function Overview({ scope, health }: { readonly scope: Scope; readonly health: Health }): VNode {
  const [period, setPeriod] = useState<'5m' | '1h'>('5m')
  const { data, problem } = usePoll(`history ${period} ${scope}`, period === '5m' ? 2_000 : 10_000, () => get<History>('/v1/history', { window: period, scope }))
  const routes = usePoll(`routes ${scope}`, 5_000, () => get<{ routes: RouteRow[] }>('/v1/routes', { scope }))
  const needs = needsOf(health)
  return html`
    <h1>Overview</h1>
    <div class="toolbar"><${Choice} label="Window" value=${period} onChange=${setPeriod} options=${[['5m', '5 min'], ['1h', '1 h']]} /></div>
    <section class="needs" aria-labelledby="needs-title">
      <h2 id="needs-title">Needs you</h2>
      ${needs.length === 0 ? html`<p class="quiet">Nothing.</p>` : html`<ul>${needs.map(needLine)}</ul>`}
    </section>
    <${Alert} problem=${problem} />
    ${data !== undefined && html`<${Numbers} data=${data} stats=${health.stats} />`}
    ${data === undefined && problem === undefined && html`<${Waiting} of="the numbers" />`}
    <${Alert} problem=${routes.problem} />
    ${
    routes.data !== undefined && html`<${Table}
      caption="Responses that were not stored, and why" columns=${reasonColumns} rows=${reasonsOf(routes.data.routes)} rowKey=${keyOf} sortedBy="times"
      empty="Every response that the cache could have stored was stored."
    />`
  }`
}
