// Explain: why a request is or is not served from cache, and what to change.
import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { goTo, linkTo } from '../address.ts'
import { post } from '../api.ts'
import { html } from '../html.ts'
import { Alert, Copy, Field, missing, Select, Table, type Column } from '../parts.ts'
import { useAction } from '../polling.ts'
import type { Explanation, Refusal, Step } from '../shapes.ts'
import { bytes, duration, visible } from '../words.ts'

type Variant = NonNullable<Explanation['variants']>[number]

interface Asked {
  readonly url: string
  readonly method: string
  readonly fields: string
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Reads lines of `Name: value`. @throws the line that is none */
function readFields(text: string): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const line of text.split('\n').map((each) => each.trim()).filter((each) => each !== '')) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*(.*)$/.exec(line)
    if (match?.[1] === undefined || match[2] === undefined) throw new Error(`"${line}" is not a field: write "Name: value".`)
    const name = match[1].toLowerCase()
    fields[name] = fields[name] === undefined ? match[2] : `${fields[name]}, ${match[2]}`
  }
  return fields
}

/** The headline of a decision: from cache, or not. */
const headline = (action: string): string =>
  ({ serve: 'FROM CACHE', 'serve-stale': 'FROM CACHE, STALE', validate: 'REVALIDATED FIRST', complete: 'COMPLETED FIRST', fetch: 'NOT FROM CACHE', pass: 'NEVER FROM CACHE',
    refuse: 'REFUSED' })[action] ?? action.toUpperCase()

/** The head of the origin's response to a dry request, judged. */
function Tried({ tried }: { readonly tried: NonNullable<Explanation['tried']> }): VNode {
  const took = tried.ms === undefined ? '' : ` after ${duration(tried.ms)}`
  return html`<section><h2>Tried at the origin</h2>
    ${tried.error !== undefined && html`<p class="alert">${visible(tried.error)}</p>`}
    ${
    tried.error === undefined &&
    html`<p>The origin responded with ${tried.status}${took}. ${tried.stored === true ? 'The cache may store this response.' : 'The cache may not store it.'}</p>`
  }
    ${tried.reason !== undefined && html`<p><code>${tried.reason}</code> ${tried.meaning}</p>`}
    ${tried.advice !== undefined && html`<p><b>What to change:</b> ${tried.advice}</p>`}
  </section>`
}

/** The newest responses of this key that were not stored, on any replica. */
function Refusals({ last }: { readonly last: readonly Refusal[] }): VNode {
  return html`<section><h2>Last responses that were not stored</h2><ul>${last.map(refusal)}</ul></section>`
}

const refusal = ({ atMs, status, replica, reason, field, meaning, advice }: Refusal): VNode =>
  html`<li>
      ${duration(Math.max(0, Date.now() - atMs))} ago, status ${status}, on ${visible(replica)}: <code>${reason}</code>${field !== undefined && html` (${visible(field)})`}.
      ${' '}${meaning} <b>What to change:</b> ${advice}
    </li>`

const stepLine = ({ step, outcome, reason, field, value, section }: Step): VNode =>
  html`<li>
      <b>${step}</b> ${outcome}
      ${reason !== undefined && html` · <code>${reason}</code>`}
      ${field !== undefined && html` · ${visible(field)}`}
      ${value !== undefined && html` <code>${visible(value)}</code>`}
      ${section !== undefined && html` <span class="quiet">${section}</span>`}
    </li>`

const keyPart = ({ part, value, source }: NonNullable<Explanation['keyParts']>[number]): VNode =>
  html`<li><b>${part}</b> <code>${visible(value)}</code>${source !== undefined && html` <span class="quiet">from ${source}</span>`}</li>`

function Key({ found }: { readonly found: Explanation }): VNode {
  const { key, keyParts = [], unkeyed = [] } = found
  return html`<section><h2>Key</h2>
    <p>Route <code>${found.route}</code></p>
    ${key !== undefined && html`<p class="wrap"><code>${visible(key)}</code> <${Copy} text=${key} /></p>`}
    ${keyParts.length > 0 && html`<ul class="plain">${keyParts.map(keyPart)}</ul>`}
    ${unkeyed.length > 0 && html`<p>Not part of the key: <code>${unkeyed.map(visible).join(', ')}</code></p>`}
  </section>`
}

const stateOf = ({ verdict, freshness }: Variant): string => (verdict === 'valid' ? freshness : verdict === 'dead' ? 'purged' : 'soft-purged')

const variantColumns: readonly Column<Variant>[] = [
  { name: 'variant', cell: ({ variant }) => (variant === '' ? html`<span class="quiet">the only one</span>` : html`<code>${visible(variant)}</code>`) },
  { name: 'status', number: true, cell: ({ status }) => status },
  { name: 'state', cell: stateOf },
  { name: 'age', number: true, cell: ({ ageMs }) => duration(ageMs) },
  { name: 'lifetime', number: true, cell: ({ lifetimeMs }) => duration(lifetimeMs) },
  { name: 'size', number: true, cell: (row) => bytes(row.bytes) },
  { name: 'tags', cell: ({ tags }) => tags.map((tag, i) => html`${i > 0 && ' '}<a href=${linkTo('entries', { tag })}>${visible(tag)}</a>`) },
]

function Result({ found }: { readonly found: Explanation }): VNode {
  const { decision: { action, reason, meaning, section, advice }, steps = [], variants = [], last = [], tried } = found
  return html`<article aria-label="Explanation">
    <p class="verdict ${action.startsWith('serve') ? 'good' : 'poor'}"><b>${headline(action)}</b> · <code>${reason}</code></p>
    ${meaning !== undefined && html`<p>${meaning}</p>`}
    ${section !== undefined && html`<p class="quiet">${section}</p>`}
    ${advice !== undefined && html`<p><b>What to change:</b> ${advice}</p>`}
    ${tried !== undefined && html`<${Tried} tried=${tried} />`}
    ${last.length > 0 && html`<${Refusals} last=${last} />`}
    ${steps.length > 0 && html`<section><h2>Steps</h2><ol class="steps">${steps.map(stepLine)}</ol></section>`}
    <${Key} found=${found} />
    <${Table} caption="Stored variants" columns=${variantColumns} rows=${variants} rowKey=${({ variant }: Variant) => variant} empty="Nothing is stored for this URL." />
  </article>`
}

export function Explain({ parameters, scopes }: { readonly parameters: URLSearchParams; readonly scopes: readonly string[] }): VNode {
  const linked = { url: parameters.get('url') ?? '', method: parameters.get('method') ?? 'GET', fields: parameters.get('fields') ?? '' }
  const link = JSON.stringify(linked)
  const [asked, setAsked] = useState<Asked>(linked)
  const [found, setFound] = useState<Explanation>()
  const { busy, problem, run } = useAction()
  const refused = missing(scopes, 'purge')

  const explain = (what: Asked, tryIt: boolean): void =>
    run(async () => {
      const { body } = await post<Explanation>('/v1/explain', { url: what.url, method: what.method, headers: readFields(what.fields), ...(tryIt && { try: true }) })
      setFound(body)
    })
  // A link to an explanation shows it.
  useEffect(() => {
    setAsked(linked)
    if (linked.url !== '') explain(linked, false)
  }, [link])
  const submit = (event: Event): void => {
    event.preventDefault()
    if (JSON.stringify(asked) === link) explain(asked, false)
    else goTo(linkTo('explain', { url: asked.url, ...(asked.method !== 'GET' && { method: asked.method }), fields: asked.fields }))
  }
  const set = (change: Partial<Asked>): void => setAsked({ ...asked, ...change })
  return html`
    <h1>Explain</h1>
    <form onSubmit=${submit}>
      <div class="row">
        <${Field} id="explain-url" label="URL, as clients request it" wide required value=${asked.url} hint="https://api.example.org/v1/items?page=2" set=${(url: string) =>
    set({ url })} />
        <${Select} label="Method" value=${asked.method} options=${methods} set=${(method: string) => set({ method })} />
      </div>
      <details open=${asked.fields !== ''}><summary>Request fields</summary>
        <${Field} label="One field a line" rows=${4} value=${asked.fields} hint="Accept-Language: de" set=${(fields: string) => set({ fields })} />
      </details>
      <div class="row">
        <button class="main" disabled=${busy}>Explain</button>
        <button type="button" disabled=${busy || refused !== undefined || asked.url === ''} aria-describedby="try-note" onClick=${() =>
    explain(asked, true)}>Try it at the origin</button>
        <span id="try-note" class="quiet">${refused ?? 'Sends one GET to the origin. Nothing is stored.'}</span>
      </div>
    </form>
    <${Alert} problem=${problem} />
    <div aria-live="polite">${busy && html`<p class="quiet">Explaining…</p>`}</div>
    ${found !== undefined && html`<${Result} found=${found} />`}`
}
