// Strict JSON that keeps the text of its values: numbers come back as they were written, and no member counts twice.

/** A JSON value: an object by its members, anything else by its text without white space. */
export type Json = JsonObject | JsonLeaf

export interface JsonObject {
  readonly kind: 'object'
  readonly members: ReadonlyMap<string, Json>
}

export interface JsonLeaf {
  readonly kind: 'leaf'
  readonly text: string
}

/** The levels of what the field to backends may hold: those of data, and some for values that were stored when more were allowed. */
export const mostFieldLevels = 64

/** The text is not JSON, or not JSON that every reader understands alike. */
export class JsonFault extends Error {
  override readonly name = 'JsonFault'
}

/**
 * Parses one JSON value (RFC 8259). Refuses what parsers read in different ways: a member that occurs twice, half a surrogate pair.
 * Takes time in proportion to the text.
 * @param mostLevels objects and arrays may be nested so deeply
 * @throws JsonFault
 */
export function parseJson(text: string, mostLevels: number): Json {
  const parser = new Parser(text, mostLevels)
  const value = parser.value(0)
  parser.end()
  return value
}

/** Parses UTF-8 bytes. @throws JsonFault for bytes that are not UTF-8, and as parseJson */
export function parseJsonBytes(bytes: Uint8Array, mostLevels: number): Json {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    throw new JsonFault('not UTF-8')
  }
  return parseJson(text, mostLevels)
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Writes a value without white space, its members in their order. */
export function jsonText(value: Json): string {
  if (value.kind === 'leaf') return value.text
  let text = ''
  for (const [name, member] of value.members) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${jsonText(member)}`
  return `{${text}}`
}

/** The depth of a value: 0 for a scalar, 1 for an object or array of scalars. */
export function levelsOf(value: Json): number {
  if (value.kind === 'object') {
    let most = 0
    for (const member of value.members.values()) most = Math.max(most, levelsOf(member))
    return most + 1
  }
  let depth = 0
  let most = 0
  let quoted = false
  for (let i = 0; i < value.text.length; i++) {
    const char = value.text[i]
    if (quoted && char === '\\') i++
    else if (char === '"') quoted = !quoted
    else if (!quoted && (char === '[' || char === '{')) most = Math.max(most, ++depth)
    else if (!quoted && (char === ']' || char === '}')) depth--
  }
  return most
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const literal = /true|false|null/y
const string = /"(?:[^"\\]|\\[^])*"/y
const space = /[ \t\n\r]*/y
const loneSurrogate = /\p{Cs}/u

class Parser {
  readonly #text: string
  readonly #mostLevels: number
  #at = 0

  constructor(text: string, mostLevels: number) {
    this.#text = text
    this.#mostLevels = mostLevels
  }

  value(depth: number): Json {
    this.#skip()
    const char = this.#text[this.#at]
    if (char === '{') return { kind: 'object', members: this.#members(depth + 1) }
    if (char === '[') return { kind: 'leaf', text: this.#array(depth + 1) }
    if (char === '"') {
      const from = this.#at
      this.#string()
      return { kind: 'leaf', text: this.#text.slice(from, this.#at) }
    }
    return { kind: 'leaf', text: this.#take(literal) ?? this.#take(number) ?? this.#fail('a value is missing') }
  }

  end(): void {
    this.#skip()
    if (this.#at < this.#text.length) this.#fail('text follows the value')
  }

  #members(depth: number): ReadonlyMap<string, Json> {
    this.#enter(depth)
    const members = new Map<string, Json>()
    for (let more = !this.#next('}'); more; more = !this.#separator('}')) {
      this.#skip()
      const name = this.#string()
      if (members.has(name)) this.#fail('a member occurs twice')
      if (!this.#next(':')) this.#fail('a colon is missing')
      members.set(name, this.value(depth))
    }
    return members
  }

  #array(depth: number): string {
    this.#enter(depth)
    let text = ''
    for (let more = !this.#next(']'); more; more = !this.#separator(']')) text += `${text === '' ? '' : ','}${jsonText(this.value(depth))}`
    return `[${text}]`
  }

  #enter(depth: number): void {
    this.#at++
    if (depth > this.#mostLevels) this.#fail(`more than ${this.#mostLevels} levels`)
  }

  #separator(end: string): boolean {
    if (this.#next(',')) return false
    return this.#next(end) || this.#fail('a comma is missing')
  }

  #next(char: string): boolean {
    this.#skip()
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #string(): string {
    const text = this.#take(string) ?? this.#fail('a string is missing')
    const value = this.#read(text)
    if (loneSurrogate.test(value)) this.#fail('half a surrogate pair')
    return value
  }

  #read(text: string): string {
    try {
      return JSON.parse(text) as string
    } catch {
      return this.#fail('a string has a control character or an unknown escape')
    }
  }

  #skip(): void {
    this.#take(space)
  }

  #take(token: RegExp): string | undefined {
    token.lastIndex = this.#at
    const text = token.exec(this.#text)?.[0]
    if (text !== undefined) this.#at += text.length
    return text
  }

  #fail(why: string): never {
    throw new JsonFault(`${why} at character ${this.#at}`)
  }
}
