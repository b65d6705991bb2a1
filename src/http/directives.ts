// The grammar of cache directives (RFC 9111 §5.2): name, perhaps an argument, comma; read in one pass.
import { isSpace, withoutOuterSpace } from './white-space.ts'

/** RFC 9111 §1.2.2: what a larger number is read as. */
export const maxDeltaSeconds = 2_147_483_648

/** What follows a directive's name: undefined is nothing, `malformed` is something that the grammar does not allow there. */
export type Argument = string | undefined | null

/** An argument that the grammar does not allow. */
export const malformed = null

/**
 * Hands every directive, its name in lower case, to `take`; false when a quote never closes. Then nobody knows which
 * of the quotes is the stray one, and so what is directive and what is text: the value is gone through again, with
 * everything in it, quoted or not, handed over as malformed. Linear in whatever is sent.
 */
export function scanDirectives<T>(value: string, into: T, take: TakeDirective<T>): boolean {
  if (scan(value, into, take, true)) return true
  scan(value, into, take, false)
  return false
}

/** `quoted`: the argument was a quoted-string. */
type TakeDirective<T> = (into: T, name: string, argument: Argument, quoted: boolean) => void

function scan<T>(value: string, into: T, take: TakeDirective<T>, quotesHold: boolean): boolean {
  const end = value.length
  let inPlace = quotesHold // at the value's start or after a comma, where a directive may stand
  let at = 0
  while (at < end) {
    const char = value.charCodeAt(at)
    if (char === comma) {
      inPlace = quotesHold
      at++
    } else if (isSpace(char)) {
      at++
    } else if (!isTokenChar(char)) {
      inPlace = false
      if (char === quote && quotesHold) {
        at = closingQuote(value, at)
        if (at < 0) return false
      }
      at++
    } else {
      const start = at
      while (isTokenChar(value.charCodeAt(at))) at++
      const name = value.slice(start, at).toLowerCase()
      let argument: Argument
      let quoted = false
      if (value.charCodeAt(at) === equals) {
        const argumentStart = ++at
        if (value.charCodeAt(at) === quote && quotesHold) {
          at = closingQuote(value, at)
          if (at < 0) return false
          argument = unquoted(value.slice(argumentStart + 1, at++))
          quoted = true
        } else {
          while (isTokenChar(value.charCodeAt(at))) at++
          argument = at === argumentStart ? malformed : value.slice(argumentStart, at)
        }
      }
      while (isSpace(value.charCodeAt(at))) at++
      const wellEnded = at >= end || value.charCodeAt(at) === comma
      take(into, name, inPlace && wellEnded ? argument : malformed, quoted)
      inPlace = false
    }
  }
  return true
}

const quote = 0x22
const comma = 0x2c
const equals = 0x3d
const backslash = 0x5c

/** Where the quoted-string that opens at `open` closes; -1 if it does not. */
function closingQuote(value: string, open: number): number {
  for (let i = open + 1; i < value.length; i++) {
    const char = value.charCodeAt(i)
    if (char === quote) return i
    if (char === backslash) i++ // quoted-pair (RFC 9110 §5.6.4)
  }
  return -1
}

function unquoted(text: string): string {
  return text.includes('\\') ? text.replace(/\\([^])/g, '$1') : text
}

/** delta-seconds, capped; undefined for whatever is not digits alone. */
export function deltaSeconds(argument: Argument): number | undefined {
  if (argument === undefined || argument === malformed || argument === '') return undefined
  let seconds = 0
  for (let i = 0; i < argument.length; i++) {
    const digit = argument.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return undefined
    seconds = Math.min(seconds * 10 + digit, maxDeltaSeconds)
  }
  return seconds
}

/**
 * The field names of a qualified no-cache or private, in lower case; `true`, the unqualified form, when there is no
 * argument, when it is malformed, or when it names nothing that can be a field. RFC 9111 §5.2 has recipients take
 * `private=foo` like `private="foo"`.
 */
export function qualifiedNames(argument: Argument): true | string[] {
  if (argument === undefined || argument === malformed) return true
  const names: string[] = []
  for (const member of argument.split(',')) {
    const name = withoutOuterSpace(member).toLowerCase()
    if (name === '') continue
    if (!isToken(name) || noField.test(name)) return true
    names.push(name)
  }
  return names.length === 0 ? true : names
}

// What a flag is set to by those who take private for one: `private=1` names no field. Nor does one who writes `*`, or quotes
// with apostrophes: tokens, by the grammar, but meant for every field, or for one that they do not spell.
const noField = /^(?:[+-]?[\d.]+|true|false|yes|no|on|off|none|null)$|['*]/

// RFC 9110 §5.6.2: 1 for each tchar.
const tokenChars = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") tokenChars[char.charCodeAt(0)] = 1

function isTokenChar(char: number): boolean {
  return tokenChars[char] === 1 // out of range, and NaN past the end, read as undefined
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (!isTokenChar(text.charCodeAt(i))) return false
  }
  return text !== ''
}
