// Traffic: the requests as they end, and the keys, tags and reasons that most of them have.
import type { VNode } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { goTo, linkTo } from '../address.ts'
import { get, withQuery } from '../api.ts'
import { html } from '../html.ts'
import { Alert, Choice, Field, Select, Table, type Column } from '../parts.ts'
import { usePoll } from '../polling.ts'
import { outcomes, type Scope, type TailRequest, type Top, type TopItem } from '../shapes.ts'
import { bytes, clockTime, count, duration, percent, visible } from '../words.ts'

/** The most requests that are kept and shown. */
const mostShown = 200

/** The filters that are typed: the parameter, the label and an example. */
const textFilters = [
  ['reason', 'Reason', 'uri-miss'],
  ['route', 'Route', 'api@*/v1/'],
  ['host', 'Host', 'api.example.org'],
  ['path', 'Path begins with', '/v1/items'],
  ['method', 'Method', 'GET'],
  ['status', 'Status', '5xx'],
  ['minMs', 'Slower than, ms', '500'],
] as const
const filters = ['outcome', ...textFilters.map(([name]) => name)]

interface Shown {
  readonly number: number
  readonly atMs: number
  readonly request: TailRequest
}

interface Tail {
  readonly shown: readonly Shown[]
  readonly dropped: number
  readonly state: 'connecting' | 'open' | 'lost'
}

const said = { connecting: 'Connecting…', open: 'Live: each request to this replica appears here.', lost: 'The stream is lost. The page connects again.' } as const

/** Follows the live tail while `on`. Requests are shown in batches, four times a second at most. */
function useTail(path: string, on: boolean): Tail {
  const [tail, setTail] = useState<Tail>({ shown: [], dropped: 0, state: 'connecting' })
  const number = useRef(0)
  useEffect(() => {
    if (!on) return undefined
    let source: EventSource | undefined
    let waiting: Shown[] = []
    let dropped = 0
    const open = (): void => {
      if (source !== undefined || document.hidden) return
      source = new EventSource(path)
      source.addEventListener('request', (event) => {
        waiting.push({ number: number.current++, atMs: Date.now(), request: JSON.parse((event as MessageEvent<string>).data) as TailRequest })
        if (waiting.length > mostShown) waiting.shift()
      })
      source.addEventListener('dropped', (event) => {
        dropped += (JSON.parse((event as MessageEvent<string>).data) as { count: number }).count
      })
      source.addEventListener('open', () => setTail((before) => ({ ...before, state: 'open' })))
      source.addEventListener('error', () => setTail((before) => ({ ...before, state: 'lost' })))
    }
    const close = (): void => {
      source?.close()
      source = undefined
    }
    const turned = (): void => (document.hidden ? close() : open())
    const timer = setInterval(() => {
      if (waiting.length === 0 && dropped === 0) return
      const [batch, gone] = [waiting.toReversed(), dropped]
      waiting = []
      dropped = 0
      setTail((before) => ({ state: 'open', dropped: before.dropped + gone, shown: [...batch, ...before.shown].slice(0, mostShown) }))
    }, 250)
    document.addEventListener('visibilitychange', turned)
    open()
    return () => {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', turned)
      close()
    }
  }, [path, on])
  return tail
}

const lists = { keys: 'Keys', tags: 'Tags', routes: 'Routes', reasons: 'Reasons' } as const
const measures = { requests: 'requests', misses: 'misses', bytes: 'bytes', originMs: 'origin time' } as const

function TopTable({ scope }: { readonly scope: Scope }): VNode {
  const [of, setOf] = useState<keyof typeof lists>('keys')
  const [by, setBy] = useState<keyof typeof measures>('requests')
  const { data, problem } = usePoll(`top ${of} ${by} ${scope}`, 5_000, () => get<Top>('/v1/top', { of, by, limit: 20, scope }))
  const shown = by === 'bytes' ? bytes : by === 'originMs' ? duration : count
  const columns: readonly Column<TopItem>[] = [
    { name: lists[of].toLowerCase(), cell: (row) => html`<span class="wrap">${visible(row.name)}</span>` },
    { name: measures[by], number: true, cell: (row) => html`${shown(row.value)}${row.error > 0 && html` <span class="quiet">± ${shown(row.error)}</span>`}` },
    { name: 'share', number: true, cell: (row) => percent(row.share) },
    { name: 'hit ratio', number: true, cell: (row) => percent(row.hitRatio) },
  ]
  return html`<section aria-labelledby="top-title"><h2 id="top-title">Most requested in 5 minutes</h2>
    <div class="toolbar">
      <${Choice} label="List" value=${of} onChange=${setOf} options=${Object.entries(lists)} />
      <${Choice} label="By" value=${by} onChange=${setBy} options=${Object.entries(measures)} />
    </div>
    <${Alert} problem=${problem} />
    ${
    data !== undefined &&
    html`<${Table} caption=${`${lists[of]} by ${measures[by]}${data.sampledOneIn > 1 ? `, from one request in ${data.sampledOneIn}` : ''}`} rows=${data.items} rowKey=${(
      row: TopItem,
    ) => row.name} empty="No request in the last 5 minutes."
      columns=${columns}
    />`
  }
  </section>`
}

export function Traffic({ scope, parameters }: { readonly scope: Scope; readonly parameters: URLSearchParams }): VNode {
  const [on, setOn] = useState(true)
  const given = Object.fromEntries(filters.map((name) => [name, parameters.get(name) ?? '']))
  const [draft, setDraft] = useState<Record<string, string>>(given)
  const asked = parameters.toString()
  useEffect(() => setDraft(given), [asked])
  const { shown, dropped, state } = useTail(withQuery('/v1/tail', given), on)
  const apply = (event: Event): void => {
    event.preventDefault()
    goTo(linkTo('traffic', draft))
  }
  const set = (name: string) => (text: string): void => setDraft({ ...draft, [name]: text })
  const columns: readonly Column<Shown>[] = [
    { name: 'time', cell: ({ atMs }) => clockTime(atMs) },
    { name: 'outcome', cell: ({ request }) => html`<span class="swatch of-${request.outcome}" aria-hidden="true"></span>${request.outcome}` },
    { name: 'reason', cell: ({ request }) => html`<code>${request.notStored ?? request.reason ?? '–'}</code>` },
    { name: 'request', cell: ({ request }) => html`<span class="wrap">${request.method} ${visible(`${request.host ?? ''}${request.target}`)}</span>` },
    { name: 'status', number: true, cell: ({ request }) => request.status },
    { name: 'time taken', number: true, cell: ({ request }) => duration(request.ms) },
    { name: 'size', number: true, cell: ({ request }) => bytes(request.bytes) },
  ]
  return html`
    <h1>Traffic</h1>
    <form class="row" onSubmit=${apply} aria-label="Filters">
      <${Select} label="Outcome" any="any" options=${outcomes} value=${draft['outcome'] ?? ''} set=${set('outcome')} />
      ${textFilters.map(([name, label, hint]) => html`<${Field} label=${label} hint=${hint} value=${draft[name] ?? ''} set=${set(name)} />`)}
      <button class="main">Filter</button>
      <button type="button" aria-pressed=${on ? 'false' : 'true'} onClick=${() => setOn(!on)}>${on ? 'Pause' : 'Go on'}</button>
    </form>
    <p role="status" class="quiet">${on ? said[state] : 'Paused.'}${dropped > 0 && ` ${count(dropped)} requests were left out, because there were too many to show.`}</p>
    <${Table} caption="Requests, the newest first" rows=${shown} rowKey=${(row: Shown) => String(row.number)} empty="No request yet."
      columns=${columns}
    />
    <${TopTable} scope=${scope} />`
}
