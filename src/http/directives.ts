// The grammar of cache directives (RFC 9111 §5.2): name, optional argument, comma; parsed in one pass.
import { isSpace, withoutOuterSpace } from './white-space.ts'

/** RFC 9111 §1.2.2: larger numbers are read as this one. */
export const maxDeltaSeconds = 2_147_483_648

/** The argument of a directive. undefined: there is none. `malformed`: there is text that the grammar does not allow. */
export type Argument = string | undefined | null

/** An argument that the grammar does not allow. */
export const malformed = null

/**
 * Passes every directive, its name in lower case, to `take`. Returns false if a quote never closes.
 *
 * Then nothing shows which quote is the stray one, and so what is directive and what is text. The value is scanned again,
 * and everything in it, quoted or not, is passed as malformed. Takes time in proportion to the value.
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
  let inPlace = quotesHold // true at the value's start and after a comma, where a directive may stand
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

/** Returns the offset at which the quoted-string that opens at `open` closes, or -1. */
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

/** Parses delta-seconds, capped at the maximum. Undefined unless the argument consists of digits. */
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
 * Returns the field names of a qualified no-cache or private, in lower case. Returns `true`, the unqualified form, if the
 * argument is absent, malformed, or names nothing that can be a field. RFC 9111 §5.2 lets recipients read `private=foo` like
 * `private="foo"`.
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

// Values of senders that take private for a flag: `private=1` names no field. Neither does `*`, nor a name in apostrophes.
// Both are tokens by the grammar, but mean every field, or a field under another name.
const noField = /^(?:[+-]?[\d.]+|true|false|yes|no|on|off|none|null)$|['*]/

// RFC 9110 §5.6.2: 1 for each tchar.
const tokenChars = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") tokenChars[char.charCodeAt(0)] = 1

function isTokenChar(char: number): boolean {
  return tokenChars[char] === 1 // an index out of range, or NaN past the end, reads as undefined
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (!isTokenChar(text.charCodeAt(i))) return false
  }
  return text !== ''
}
