// Facets: values of an identity that are part of the cache key, encoded so that two different values never read as one.

/** A facet's value as a JSON text, or `undefined` if the identity has none. */
export type FacetText = string | undefined

/** The facets of a request: their part of its key, and the same values for the origin. `unfit`: a value cannot be in a key. */
export type Facets =
  | { readonly kind: 'fit'; readonly keyPart: string; readonly shown: string }
  | { readonly kind: 'unfit' }

const mostBytes = 256
const mostItems = 16
const unfit: Facets = Object.freeze({ kind: 'unfit' })

/**
 * Encodes the named facets of an identity. The encoding distinguishes types (1, "1" and true), and absent, empty and "null". Each value is
 * preceded by its length. A list is sorted, in the key and for the origin, because a set of roles has no order. An object, a nested
 * list, more than 16 items or 256 bytes are unfit.
 * @param source the name of the source that identified the request
 */
export function encodeFacets(source: string, names: readonly string[], valueOf: (name: string) => FacetText): Facets {
  let keyPart = ` facets${source.length}:${source}`
  let shown = ''
  for (const name of names) {
    const text = valueOf(name)
    const value = text === undefined ? absent : encoded(text)
    if (value === undefined) return unfit
    keyPart += ` ${name.length}:${name}=${value.code}`
    if (value.text !== '') shown += `${shown === '' ? '' : ','}${JSON.stringify(name)}:${value.text}`
  }
  return { kind: 'fit', keyPart, shown: `{${shown}}` }
}

interface Encoded {
  readonly code: string
  /** The value as JSON text; '' if it is absent. */
  readonly text: string
  readonly bytes: number
}

const absent: Encoded = { code: '-', text: '', bytes: 0 }

function encoded(text: string): Encoded | undefined {
  if (text.startsWith('{')) return undefined
  const value = text.startsWith('[') ? list(text) : scalar(text)
  return value === undefined || value.bytes > mostBytes ? undefined : value
}

function scalar(text: string): Encoded {
  if (text.startsWith('"')) {
    const value = JSON.parse(text) as string
    return { code: `s${value.length}:${value}`, text: JSON.stringify(value), bytes: Buffer.byteLength(value) }
  }
  // A number by its digits: two that a parser would round to one differ.
  const kind = text === 'true' || text === 'false' ? 'b' : text === 'null' ? 'z' : 'n'
  return { code: `${kind}${text.length}:${text}`, text, bytes: text.length }
}

function list(text: string): Encoded | undefined {
  const items = itemsOf(text)
  if (items === undefined || items.length > mostItems) return undefined
  const sorted = items.map(scalar).sort((a, b) => (a.code < b.code ? -1 : a.code > b.code ? 1 : 0))
  return {
    code: `l${sorted.length}:${sorted.map(({ code }) => code).join('')}`,
    text: `[${sorted.map(item => item.text).join(',')}]`,
    bytes: sorted.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

const item = /\s*("(?:[^"\\]|\\.)*"|[^\s",[\]{}]+)\s*([,\]])/y

/** Returns the texts of a list's scalars; undefined if it holds anything else. */
function itemsOf(text: string): string[] | undefined {
  if (/^\[\s*\]$/.test(text)) return []
  const items: string[] = []
  item.lastIndex = 1
  for (;;) {
    const match = item.exec(text)
    if (match === null) return undefined
    items.push(match[1] as string)
    if (match[2] === ']') return item.lastIndex === text.length ? items : undefined
    if (items.length > mostItems) return undefined
  }
}
