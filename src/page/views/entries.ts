// Entries: the stored responses, by prefix and tag, a page at a time.
import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { goTo, linkTo } from '../address.ts'
import { get, post } from '../api.ts'
import { html } from '../html.ts'
import { Alert, Field, missing, Table, type Column } from '../parts.ts'
import { useAction } from '../polling.ts'
import type { Entries as Page, EntryRow } from '../shapes.ts'
import { bytes, count, duration, visible } from '../words.ts'

const stateOf = ({ verdict, ageMs, lifetimeMs }: EntryRow): string => (verdict === 'dead' ? 'purged' : verdict !== 'valid' ? 'soft-purged' : ageMs < lifetimeMs ? 'fresh' : 'stale')

export function Entries({ parameters, scopes }: { readonly parameters: URLSearchParams; readonly scopes: readonly string[] }): VNode {
  const [prefix, setPrefix] = useState(parameters.get('prefix') ?? '')
  const [tag, setTag] = useState(parameters.get('tag') ?? '')
  const [rows, setRows] = useState<readonly EntryRow[]>([])
  const [cursor, setCursor] = useState<string>()
  const [said, setSaid] = useState('')
  const { busy, problem, run } = useAction()
  const refused = missing(scopes, 'purge')
  const asked = parameters.toString()

  const read = (from: string | undefined): void =>
    run(async () => {
      const page = await get<Page>('/v1/entries', { prefix: parameters.get('prefix') ?? '', tag: parameters.get('tag') ?? '', cursor: from, limit: 100 })
      setRows(from === undefined ? page.entries : [...rows, ...page.entries])
      setCursor(page.cursor)
    })
  useEffect(() => {
    setPrefix(parameters.get('prefix') ?? '')
    setTag(parameters.get('tag') ?? '')
    read(undefined)
  }, [asked])
  const submit = (event: Event): void => {
    event.preventDefault()
    const link = linkTo('entries', { prefix, tag })
    if (link === location.hash) read(undefined)
    else goTo(link)
  }
  const purge = (row: EntryRow): void =>
    run(async () => {
      const { status } = await post('/v1/purge', { urls: [row.url] })
      setSaid(`${visible(row.url)} ${status === 200 ? 'is purged everywhere.' : 'is recorded as purged; not every replica has acknowledged it.'}`)
      setRows((before) => before.map((each) => (each.url === row.url ? { ...each, verdict: 'dead' } : each)))
    })
  const columns: readonly Column<EntryRow>[] = [
    { name: 'URL', cell: (row) => html`<a class="wrap" href=${linkTo('explain', { url: row.url })}>${visible(row.url)}</a>`, sort: (row) => row.url },
    { name: 'status', number: true, cell: (row) => row.status, sort: (row) => row.status },
    { name: 'state', cell: stateOf, sort: stateOf },
    { name: 'age', number: true, cell: (row) => duration(row.ageMs), sort: (row) => row.ageMs },
    { name: 'lifetime', number: true, cell: (row) => duration(row.lifetimeMs), sort: (row) => row.lifetimeMs },
    { name: 'size', number: true, cell: (row) => bytes(row.bytes), sort: (row) => row.bytes },
    { name: 'tags',
      cell: (row) =>
        html`<span class="wrap">${row.tags.slice(0, 8).map((each, i) => html`${i > 0 && ' '}<a href=${linkTo('entries', { tag: each })}>${visible(each)}</a>`)}${
          row.tags.length > 8 && ` and ${row.tags.length - 8} more`
        }</span>` },
    { name: 'purge',
      cell: (row) =>
        html`<button type="button" class="small" disabled=${busy || refused !== undefined || row.verdict === 'dead'} aria-label=${`Purge ${row.url}`} aria-describedby=${
          refused === undefined ? undefined : 'entries-refused'
        } onClick=${() => purge(row)}>purge</button>` },
  ]
  return html`
    <h1>Entries</h1>
    <form class="row" onSubmit=${submit}>
      <${Field} label="URL begins with" wide value=${prefix} hint="/v1/items" set=${setPrefix} />
      <${Field} label="Tag" value=${tag} set=${setTag} />
      <button class="main" disabled=${busy}>List</button>
    </form>
    ${refused !== undefined && html`<p class="quiet" id="entries-refused">${refused}</p>`}
    <${Alert} problem=${problem} />
    <p role="status" class="quiet">${busy ? 'Reading…' : said !== '' ? said : `${count(rows.length)} responses are listed${cursor === undefined ? '' : '; there are more'}.`}</p>
    <${Table} caption="Stored responses" rows=${rows} rowKey=${(row: EntryRow) => `${row.key} ${row.variant}`} empty="No stored response matches."
      columns=${columns}
    />
    ${cursor !== undefined && html`<button type="button" disabled=${busy} onClick=${() => read(cursor)}>More</button>`}`
}
