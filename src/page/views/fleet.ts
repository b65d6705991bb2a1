// Fleet: the servers of each origin, and the replicas that share the store.
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { html } from '../html.ts'
import { Field, Table, type Column } from '../parts.ts'
import { replicaStates, type OriginRow, type ReplicaRow, type ReplicaState } from '../shapes.ts'
import { bytes, count, duration, percent, rate, visible } from '../words.ts'
import type { Health } from './needs.ts'

/** A state's sign: shape and letter, beside its colour. */
const signs: Readonly<Record<ReplicaState, string>> = { ok: '●', lagging: '▲ L', degraded: '✕ D', draining: '◆ d', silent: '◇ S' }

const stateOf = ({ state = 'ok' }: ReplicaRow): ReplicaState => state
const nameOf = ({ host, id, pid }: ReplicaRow): string => (host === undefined ? id : `${host}${pid === undefined ? '' : `:${pid}`}`)

/** The worst first: by state, then by lag. */
const badness = (row: ReplicaRow): number => ({ silent: 4, degraded: 3, lagging: 2, draining: 1, ok: 0 })[stateOf(row)] * 1e12 + (row.lagMs ?? 0)

/** The most rows of the table. */
const mostRows = 20

/** The middle of the known hit ratios, against which the odd one out is shown. */
function oddOneOut(rows: readonly ReplicaRow[]): string | undefined {
  const known = rows.filter((row): row is ReplicaRow & { hitRatio: number } => typeof row.hitRatio === 'number').toSorted((a, b) => a.hitRatio - b.hitRatio)
  const [lowest, middle] = [known[0], known[Math.floor(known.length / 2)]]
  if (known.length < 3 || lowest === undefined || middle === undefined || middle.hitRatio - lowest.hitRatio < 0.1) return undefined
  return `Odd one out: ${nameOf(lowest)} has a hit ratio of ${percent(lowest.hitRatio)}; the median is ${percent(middle.hitRatio)}.`
}

export function Fleet({ health, parameters }: { readonly health: Health; readonly parameters: URLSearchParams }): VNode {
  const [search, setSearch] = useState(parameters.get('search') ?? '')
  const { replicas, origins } = health
  const counted = replicaStates.map((state) => ({ state, times: replicas.filter((row) => stateOf(row) === state).length })).filter(({ times }) => times > 0)
  const found = replicas.filter((row) => search === '' || nameOf(row).includes(search) || row.id.includes(search))
  const worst = found.toSorted((a, b) => badness(b) - badness(a)).slice(0, mostRows)
  const odd = oddOneOut(replicas)
  const replicaColumns: readonly Column<ReplicaRow>[] = [
    { name: 'replica', cell: (row) => html`<span class="together" title=${row.id}>${visible(nameOf(row))}</span>` },
    { name: 'state', cell: (row) => html`<span class="together state-${stateOf(row)}"><span aria-hidden="true">${signs[stateOf(row)]}</span> ${stateOf(row)}</span>` },
    { name: 'purge lag', number: true, cell: (row) => duration(row.lagMs) },
    { name: 'requests/s', number: true, cell: (row) => rate(row.requestsPerSecond) },
    { name: 'hit ratio', number: true, cell: (row) => percent(row.hitRatio) },
    { name: 'p99', number: true, cell: (row) => duration(row.p99Ms) },
    { name: 'memory', number: true, cell: (row) => bytes(row.memoryBytes) },
    { name: 'version', cell: (row) => row.version ?? '–' },
    { name: 'seen', number: true, cell: (row) => (typeof row.seenMs !== 'number' ? '–' : `${duration(Math.max(0, Date.now() - row.seenMs))} ago`) },
  ]
  const originColumns: readonly Column<OriginRow>[] = [
    { name: 'origin', cell: (row) => row.origin, sort: (row) => row.origin },
    { name: 'server', cell: (row) => html`<code class="wrap">${row.url}</code>`, sort: (row) => row.url },
    { name: 'state',
      cell: (row) =>
        html`<span class=${row.healthy ? 'state-ok' : 'state-silent'}><span aria-hidden="true">${row.healthy ? '●' : '◇'}</span> ${row.healthy ? 'up' : 'down'}</span>`,
      sort: (row) => (row.healthy ? 0 : 1) },
    { name: 'in flight', number: true, cell: (row) => count(row.pending), sort: (row) => row.pending },
    { name: 'streams', number: true, cell: (row) => count(row.streams), sort: (row) => row.streams },
    { name: 'requests', number: true, cell: (row) => count(row.requests), sort: (row) => row.requests ?? 0 },
    { name: 'errors', number: true, cell: (row) => count(row.errors), sort: (row) => row.errors ?? 0 },
    { name: 'p50', number: true, cell: (row) => duration(row.p50) },
    { name: 'p99', number: true, cell: (row) => duration(row.p99), sort: (row) => row.p99 ?? -1 },
    { name: 'last error', cell: (
      row: OriginRow,
    ) => (row.lastError === undefined || row.lastError === null ? '–' : html`<code>${row.lastError.code}</code> ${duration(Date.now() - row.lastError.atMs)} ago`) },
  ]
  return html`
    <h1>Fleet</h1>
    <section aria-labelledby="replicas-title">
      <h2 id="replicas-title">Replicas</h2>
      <p role="status">${
    counted.map(({ state, times }, i) => html`${i > 0 && ' · '}<span class="state-${state}"><span aria-hidden="true">${signs[state]}</span> ${count(times)} ${state}</span>`)
  }</p>
      ${odd !== undefined && html`<p>${odd}</p>`}
      <ul class="cells grid" aria-label="All replicas">${
    replicas.map((row) =>
      html`<li key=${row.id} class="state-${stateOf(row)} ${search !== '' && !found.includes(row) ? 'dimmed' : ''}" title=${`${nameOf(row)}: ${
        stateOf(row)
      }`}><span aria-hidden="true">${signs[stateOf(row)]}</span><span class="unseen">${nameOf(row)} ${stateOf(row)}</span></li>`
    )
  }</ul>
      <${Field} type="search" label="Search by host" value=${search} set=${setSearch} />
      <${Table} caption=${found.length > mostRows ? `The ${mostRows} worst of ${found.length} replicas` : 'Replicas, the worst first'} rows=${worst} rowKey=${(row: ReplicaRow) =>
    row.id} empty="No replica has this name."
        columns=${replicaColumns}
      />
    </section>
    <section aria-labelledby="origins-title">
      <h2 id="origins-title">Origins, as this replica sees them</h2>
      <${Table} caption="Servers" rows=${origins} rowKey=${(row: OriginRow) => `${row.origin} ${row.url}`} empty="No origin is configured."
        columns=${originColumns}
      />
    </section>`
}
