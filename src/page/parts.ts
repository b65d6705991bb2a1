// The small parts that views are made of.
import type { ComponentChildren, VNode } from 'preact'
import { useState } from 'preact/hooks'
import type { ApiProblem } from './api.ts'
import { html } from './html.ts'
import { outcomes, type Counts } from './shapes.ts'
import { count, percent, visible } from './words.ts'

/** An alert with a problem, and the faults of single fields; nothing without one. */
export function Alert({ problem }: { readonly problem: ApiProblem | undefined }): VNode | null {
  if (problem === undefined) return null
  return html`<div class="alert" role="alert">
    <p><strong>${problem.status === 0 ? 'Not reached.' : `Refused (${problem.status}).`}</strong> ${visible(problem.message)}</p>
    ${problem.errors.length > 0 && html`<ul>${problem.errors.map(({ path, message }) => html`<li><code>${visible(path)}</code> ${visible(message)}</li>`)}</ul>`}
  </div>`
}

/** Text while a document is awaited for the first time. */
export const Waiting = ({ of }: { readonly of: string }): VNode => html`<p class="quiet" role="status">Loading ${of}…</p>`

/** A large number with its name. `metric` is a stable hook for tests and scripts. */
export function Tile({ name, value, metric, note }: { readonly name: string; readonly value: string; readonly metric: string; readonly note?: string | undefined }): VNode {
  return html`<div class="tile"><dt>${name}</dt><dd data-metric=${metric}>${value}</dd>${note !== undefined && html`<dd class="note">${note}</dd>`}</div>`
}

export interface Column<Row> {
  readonly name: string
  readonly cell: (row: Row) => ComponentChildren
  /** The value that the column is sorted by; without one it cannot be sorted by. */
  readonly sort?: (row: Row) => number | string
  readonly number?: boolean
}

interface TableProperties<Row> {
  readonly caption: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly rowKey: (row: Row) => string
  readonly empty: string
  /** The column that the rows are sorted by at first, from the largest; without one they stay in their order. */
  readonly sortedBy?: string
  /** More about a row, shown below it. */
  readonly details?: (row: Row) => ComponentChildren | undefined
}

/** A table that a phone shows as cards: each cell carries its column's name. */
export function Table<Row>({ caption, columns, rows, rowKey, empty, sortedBy, details }: TableProperties<Row>): VNode {
  const [order, setOrder] = useState<{ by: string | undefined; descending: boolean }>({ by: sortedBy, descending: true })
  const sort = columns.find(({ name }) => name === order.by)?.sort
  const sorted = sort === undefined ? rows : rows.toSorted((a, b) => {
    const [left, right] = [sort(a), sort(b)]
    const ascending = left < right ? -1 : left > right ? 1 : 0
    return order.descending ? -ascending : ascending
  })
  const heading = ({ name, sort: sortable, number }: Column<Row>): VNode => {
    const direction = order.by !== name ? 'none' : order.descending ? 'descending' : 'ascending'
    const flip = (): void => setOrder({ by: name, descending: order.by === name ? !order.descending : true })
    return html`<th scope="col" class=${number === true ? 'number' : ''} aria-sort=${sortable === undefined ? undefined : direction}>
      ${
      sortable === undefined
        ? name
        : html`<button type="button" class="sort" onClick=${flip}>${name}<span aria-hidden="true">${{ none: '', descending: ' ▾', ascending: ' ▴' }[direction]}</span></button>`
    }
    </th>`
  }
  const line = (row: Row): VNode => {
    const more = details?.(row)
    return html`<tr key=${rowKey(row)}>${columns.map(({ name, cell, number }) => html`<td data-name=${name} class=${number === true ? 'number' : ''}>${cell(row)}</td>`)}</tr>
      ${more !== undefined && html`<tr class="details" key=${`${rowKey(row)}+`}><td colspan=${columns.length}>${more}</td></tr>`}`
  }
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table>
    <caption>${caption}</caption>
    <thead><tr>${columns.map(heading)}</tr></thead>
    <tbody>${sorted.length === 0 ? html`<tr><td class="quiet" colspan=${columns.length}>${empty}</td></tr>` : sorted.map(line)}</tbody>
  </table></div>`
}

/** The parts of a row's requests by outcome, as a bar. Its text says the same. */
export function OutcomeBar({ counts }: { readonly counts: Counts }): VNode {
  const total = outcomes.reduce((sum, outcome) => sum + (counts[outcome] ?? 0), 0)
  const parts = outcomes.map((outcome) => ({ outcome, value: counts[outcome] ?? 0 })).filter(({ value }) => value > 0)
  const text = parts.map(({ outcome, value }) => `${outcome} ${percent(value / total)}`).join(', ')
  return html`<div class="bar" role="img" aria-label=${text === '' ? 'no requests' : text} title=${text}>
    ${parts.map(({ outcome, value }) => html`<span class="of-${outcome}" style=${{ flexGrow: value }}></span>`)}
  </div>`
}

/** The names and colours of outcomes, with their counts. */
export function OutcomeKey({ counts }: { readonly counts: Counts }): VNode {
  return html`<ul class="key" aria-label="Requests by outcome">${
    outcomes.map((outcome) => html`<li><span class="swatch of-${outcome}" aria-hidden="true"></span>${outcome} <b>${count(counts[outcome] ?? 0)}</b></li>`)
  }</ul>`
}

/** A group of choices of which one holds. */
export function Choice({ label, options, value, onChange }: {
  readonly label: string
  readonly options: readonly (readonly [value: string, text: string])[]
  readonly value: string
  readonly onChange: (value: string) => void
}): VNode {
  return html`<fieldset class="choice"><legend>${label}</legend>
    ${
    options.map(([each, text]) =>
      html`<label class=${each === value ? 'chosen' : ''}><input type="radio" name=${label} value=${each} checked=${each === value} onChange=${() =>
        onChange(each)} />${text}</label>`
    )
  }
  </fieldset>`
}

/** A button that copies a text. */
export function Copy({ text }: { readonly text: string }): VNode {
  const [copied, setCopied] = useState(false)
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
  }
  return html`<button type="button" class="small" onClick=${() => void copy().catch(() => setCopied(false))}>${copied ? 'copied' : 'copy'}</button>`
}

/** A listener that gives the text of its field to a function. */
export const typed = (set: (text: string) => void) => (event: Event): void => set((event.currentTarget as HTMLInputElement).value)

interface FieldProperties {
  readonly label: ComponentChildren
  readonly value: string
  readonly set: (text: string) => void
  readonly hint?: string
  readonly id?: string
  readonly type?: 'text' | 'search'
  readonly required?: boolean
  readonly wide?: boolean
  /** With rows it is a text of several lines. */
  readonly rows?: number
}

/** A text field with its label. No browser corrects or remembers what is typed: URLs, tags and routes are not prose. */
export function Field({ label, value, set, hint, id, type = 'text', required = false, wide = false, rows }: FieldProperties): VNode {
  const common = { id, value, required, placeholder: hint, autocomplete: 'off', spellcheck: false, onInput: typed(set) }
  return html`<label class=${wide ? 'wide' : undefined}>${label} ${
    rows === undefined ? html`<input type=${type} ...${common} />` : html`<textarea rows=${rows} ...${common}></textarea>`
  }</label>`
}

/** A choice from a list, with its label. An option's value is its text, but for the first if `any` names it. */
export function Select(
  { label, value, set, options, any }: { readonly label: string; readonly value: string; readonly set: (text: string) => void; readonly options: readonly string[];
    readonly any?: string },
): VNode {
  return html`<label>${label} <select value=${value} onChange=${typed(set)}>
    ${any !== undefined && html`<option value="">${any}</option>`}${options.map((each) => html`<option value=${each}>${each}</option>`)}
  </select></label>`
}

/** Why a button is disabled, for a token without the scope; undefined if the token has it. */
export const missing = (scopes: readonly string[], scope: string): string | undefined =>
  scopes.includes(scope) || scopes.includes('admin') ? undefined : `This token lacks the scope "${scope}".`
