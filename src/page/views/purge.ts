// Purge: names what to invalidate, and shows each replica's acknowledgement as it arrives.
import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { get, post } from '../api.ts'
import { html } from '../html.ts'
import { Alert, Choice, Field, missing, Table, type Column } from '../parts.ts'
import { useAction, usePoll } from '../polling.ts'
import type { PurgeRow, Receipt } from '../shapes.ts'
import { count, dateTime, duration, visible } from '../words.ts'

interface Acknowledgement {
  readonly replica: string
  readonly ms: number
}

interface Progress {
  readonly live: number
  readonly acknowledged: readonly Acknowledgement[]
  readonly done: boolean
}

/** The items of a text: one a line. */
const linesOf = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter((line) => line !== '')

/** Follows the acknowledgements of a purge. Returns a function that stops. */
function follow(receipt: Receipt, show: (progress: Progress) => void): () => void {
  const begun = performance.now()
  let progress: Progress = { live: receipt.replicas.live, acknowledged: [], done: false }
  const source = new EventSource(`/v1/purges/${encodeURIComponent(receipt.id)}`)
  source.addEventListener('ack', (event) => {
    const { replica, live } = JSON.parse((event as MessageEvent<string>).data) as { replica: string; live: number }
    progress = { ...progress, live, acknowledged: [...progress.acknowledged, { replica, ms: performance.now() - begun }] }
    show(progress)
  })
  const end = (): void => {
    source.close()
    show({ ...progress, done: true })
  }
  source.addEventListener('done', end)
  source.addEventListener('error', () => source.readyState === EventSource.CLOSED && end())
  return () => source.close()
}

/** At most this many acknowledgements are listed one by one. */
const mostShown = 50

function Outcome({ receipt }: { readonly receipt: Receipt }): VNode {
  const [progress, setProgress] = useState<Progress>({ live: receipt.replicas.live, acknowledged: [], done: false })
  useEffect(() => follow(receipt, setProgress), [receipt.id])
  const acknowledged = Math.max(receipt.replicas.acknowledged, progress.acknowledged.length)
  const live = Math.max(receipt.replicas.live, progress.live)
  return html`<section class="panel" aria-labelledby="receipt-title">
    <h2 id="receipt-title">${
    acknowledged >= live ? '✓ Purged everywhere' : progress.done ? '… Recorded, not confirmed by every replica' : '… Recorded; replicas are acknowledging'
  }</h2>
    <p role="status">${count(acknowledged)} of ${count(live)} replicas have acknowledged <code>${receipt.id}</code>.${
    typeof receipt.matched === 'number' && ` ${count(receipt.matched)} responses in this replica's memory matched.`
  }</p>
    <ul class="cells">${
    progress.acknowledged.slice(0, mostShown).map(({ replica, ms }) =>
      html`<li class="ok"><span aria-hidden="true">✓</span> ${visible(replica)} <span class="quiet">${duration(ms)}</span></li>`
    )
  }</ul>
    ${progress.acknowledged.length > mostShown && html`<p>and ${count(progress.acknowledged.length - mostShown)} more</p>`}
  </section>`
}

function summary({ all, tags, urls, prefixes, tagsMatch }: PurgeRow): string {
  if (all) return 'everything'
  const named = [...tags.map((tag) => `tag ${tag}`), ...urls, ...prefixes.map((prefix) => `${prefix}…`)]
  const shown = named.slice(0, 3).map(visible).join(', ')
  return `${shown}${named.length > 3 ? ` and ${named.length - 3} more` : ''}${tags.length > 1 && tagsMatch === 'all' ? ' (all tags)' : ''}`
}

export function Purge({ scopes, parameters }: { readonly scopes: readonly string[]; readonly parameters: URLSearchParams }): VNode {
  const [tags, setTags] = useState(parameters.get('tag') ?? '')
  const [urls, setUrls] = useState(parameters.get('url') ?? '')
  const [prefixes, setPrefixes] = useState('')
  const [match, setMatch] = useState('any')
  const [soft, setSoft] = useState(false)
  const [word, setWord] = useState('')
  const [receipt, setReceipt] = useState<Receipt>()
  const { busy, problem, run } = useAction()
  const recent = usePoll('purges', 3_000, () => get<{ purges: PurgeRow[] }>('/v1/purges', { limit: 50 }))
  const refused = missing(scopes, 'purge')
  const nothing = linesOf(tags).length + linesOf(urls).length + linesOf(prefixes).length === 0

  const purge = (body: Record<string, unknown>): void =>
    run(async () => {
      // The page follows the acknowledgements itself.
      setReceipt((await post<Receipt>('/v1/purge', { ...body, soft, waitMs: 0 })).body)
      setWord('')
    })
  const named = (event: Event): void => {
    event.preventDefault()
    purge({ tags: linesOf(tags), urls: linesOf(urls), prefixes: linesOf(prefixes), ...(match === 'all' && { tagsMatch: 'all' }) })
  }
  const everything = (event: Event): void => {
    event.preventDefault()
    if (word === 'everything') purge({ all: true })
  }
  const columns: readonly Column<PurgeRow>[] = [
    { name: 'when', cell: (row) => dateTime(row.atMs) },
    { name: 'what', cell: (row) => html`<span class="wrap">${summary(row)}</span>` },
    { name: 'kind', cell: (row) => (row.soft ? 'soft' : 'hard') },
    { name: 'by', cell: (row) => visible(row.by ?? ({ request: 'an unsafe request', group: 'a cache group' }[row.cause ?? ''] ?? '–')) },
    { name: 'id', cell: (row) => html`<code>${row.id}</code>` },
  ]
  return html`
    <h1>Purge</h1>
    ${refused !== undefined && html`<p class="quiet" id="purge-refused">${refused} You can see purges, not make one.</p>`}
    <form onSubmit=${named}>
      <p class="quiet">One a line. A purge reaches each response that any line names.</p>
      <div class="three">
        <${Field} label="Tags" rows=${3} hint="product-7" value=${tags} set=${setTags} />
        <${Field} label="URLs" rows=${3} hint="https://api.example.org/v1/items" value=${urls} set=${setUrls} />
        <${Field} label="Prefixes" rows=${3} hint="/v1/items/" value=${prefixes} set=${setPrefixes} />
      </div>
      <div class="row">
        <${Choice} label="Several tags" value=${match} onChange=${setMatch} options=${[['any', 'any of them'], ['all', 'all of them']]} />
        <label class="check"><input type="checkbox" checked=${soft} onChange=${(event: Event) =>
    setSoft((event.currentTarget as HTMLInputElement).checked)} /> Soft: make stale, do not remove</label>
        <button class="main" disabled=${busy || nothing || refused !== undefined} aria-describedby=${refused === undefined ? undefined : 'purge-refused'}>Purge</button>
      </div>
    </form>
    <form class="row" onSubmit=${everything}>
      <${Field} label=${html`To purge everything, type <b>everything</b>`} value=${word} set=${setWord} />
      <button class="danger" disabled=${busy || word !== 'everything' || refused !== undefined}>Purge everything</button>
    </form>
    <${Alert} problem=${problem} />
    ${receipt !== undefined && html`<${Outcome} key=${receipt.id} receipt=${receipt} />`}
    <${Alert} problem=${recent.problem} />
    <${Table} caption="Recent purges" rows=${recent.data?.purges ?? []} rowKey=${(row: PurgeRow) => row.id} empty="No purge is in the log."
      columns=${columns}
    />`
}
