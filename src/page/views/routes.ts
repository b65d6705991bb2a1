// Routes: the requests of each route, and why its responses were not stored.
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { get } from '../api.ts'
import { html } from '../html.ts'
import { Alert, OutcomeBar, OutcomeKey, Table, Waiting, type Column } from '../parts.ts'
import { usePoll } from '../polling.ts'
import { outcomes, type Latency, type RouteRow, type Scope } from '../shapes.ts'
import { linkTo } from '../address.ts'
import { bytes, count, duration, percent } from '../words.ts'

interface LatencyRow extends Latency {
  readonly outcome: string
}

const latencyColumns: readonly Column<LatencyRow>[] = [
  { name: 'outcome', cell: ({ outcome }) => outcome },
  { name: 'p50', number: true, cell: ({ p50 }) => duration(p50) },
  { name: 'p90', number: true, cell: ({ p90 }) => duration(p90) },
  { name: 'p99', number: true, cell: ({ p99 }) => duration(p99) },
]

function Details({ row }: { readonly row: RouteRow }): VNode {
  const reasons = Object.entries(row.notStored).filter(([, times]) => times > 0).toSorted(([, a], [, b]) => b - a)
  const latencies = outcomes.flatMap((outcome) => {
    const latency = row.latencyMs[outcome]
    return latency === undefined || latency.count === 0 ? [] : [{ outcome, ...latency }]
  })
  const reason = ([name, times]: [string, number]): VNode =>
    html`<li><a href=${linkTo('traffic', { reason: name, route: row.route })}><code>${name}</code></a> ${count(times)}</li>`
  return html`<div class="columns">
    <div><h2>Not stored, and why</h2>${reasons.length === 0 ? html`<p class="quiet">Nothing was refused.</p>` : html`<ul class="plain">${reasons.map(reason)}</ul>`}</div>
    <div><h2>Requests</h2><${OutcomeKey} counts=${row.outcomes} /><p>${bytes(row.bytes.toClients)} to clients, ${bytes(row.bytes.fromOrigins)} from the origin</p></div>
    <${Table} caption=${`Latency of ${row.route}`} columns=${latencyColumns} rows=${latencies} rowKey=${({ outcome }: LatencyRow) => outcome} empty="No request yet." />
  </div>`
}

export function Routes({ scope, parameters }: { readonly scope: Scope; readonly parameters: URLSearchParams }): VNode {
  const { data, problem } = usePoll(`routes ${scope}`, 3_000, () => get<{ routes: RouteRow[] }>('/v1/routes', { scope }))
  const [open, setOpen] = useState<string | undefined>(parameters.get('route') ?? undefined)
  const name = ({ route }: RouteRow): VNode =>
    html`<button type="button" class="link" aria-expanded=${open === route ? 'true' : 'false'} onClick=${() => setOpen(open === route ? undefined : route)}>${route}</button>`
  const columns: readonly Column<RouteRow>[] = [
    { name: 'route', cell: name, sort: (row) => row.route },
    { name: 'origin', cell: (row) => row.origin, sort: (row) => row.origin },
    { name: 'mode', cell: (row) => row.mode, sort: (row) => row.mode },
    { name: 'requests', number: true, cell: (row) => count(row.requests), sort: (row) => row.requests },
    { name: 'misses', number: true, cell: (row) => count(row.outcomes['miss'] ?? 0), sort: (row) => row.outcomes['miss'] ?? 0 },
    { name: 'hit ratio', number: true, cell: (row) => percent(row.hitRatio), sort: (row) => row.hitRatio ?? -1 },
    { name: 'p99 of misses', number: true, cell: (row) => duration(row.latencyMs['miss']?.p99), sort: (row) => row.latencyMs['miss']?.p99 ?? -1 },
    { name: 'outcomes', cell: (row) => html`<${OutcomeBar} counts=${row.outcomes} />` },
  ]
  return html`
    <h1>Routes</h1>
    <${Alert} problem=${problem} />
    ${
    data === undefined ? problem === undefined && html`<${Waiting} of="the routes" />` : html`<${Table}
      caption="Requests of each route since its process started" rows=${data.routes} rowKey=${(row: RouteRow) => row.route} sortedBy="misses" empty="No route is configured."
      details=${(row: RouteRow) => (open === row.route ? html`<${Details} row=${row} />` : undefined)}
      columns=${columns}
    />`
  }`
}
