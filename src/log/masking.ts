// Request targets as people may see them: without the values of query parameters, and without path segments that look like tokens.

/** Shows a request target without secrets. The one function for the log, live views and traces. */
export type TargetMask = (target: string) => string

const mask = '***'
const ampersand = 0x26
const semicolon = 0x3b

/** Longer targets are truncated: a line of the log stays a line. */
export const shownTargetChars = 2048

/**
 * Makes the mask for a list of query parameters whose values are shown (`log.query`).
 *
 * - The value of a query parameter becomes `***`, unless its name is listed. A parameter without `=` becomes `***` too: the
 *   whole parameter may be the secret. `;` separates parameters as `&` does, since some origins read it so. The same holds for
 *   the parameters of a path segment (`/page;session=1`).
 * - A path segment or parameter name that is shaped like a token becomes `***`: see `looksLikeToken`.
 * - User info of a target in absolute-form becomes `***`.
 */
export function targetMask(shownParameters: readonly string[]): TargetMask {
  const shown: ReadonlySet<string> = new Set(shownParameters)
  const parameter = (text: string): string => {
    const equals = text.indexOf('=')
    const name = equals < 0 ? text : text.slice(0, equals)
    if (text === '' || shown.has(name)) return text
    if (equals < 0) return mask
    const shownName = looksLikeToken(name) ? mask : name
    return equals === text.length - 1 ? `${shownName}=` : `${shownName}=${mask}`
  }
  const query = (text: string): string => {
    let masked = ''
    let from = 0
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code !== ampersand && code !== semicolon) continue
      masked += parameter(text.slice(from, at)) + text[at]
      from = at + 1
    }
    masked += parameter(text.slice(from))
    return masked
  }
  const segment = (text: string): string => {
    const end = text.indexOf(';')
    if (end < 0) return looksLikeToken(text) ? mask : text
    return `${segment(text.slice(0, end))};${query(text.slice(end + 1))}`
  }
  const path = (text: string): string => (mayHoldSecret(text) ? text.split('/').map(segment).join('/') : text)
  return (target) => {
    const whole = target.length > shownTargetChars ? withoutLastPart(target.slice(0, shownTargetChars)) : target
    const mark = whole.indexOf('?')
    const before = withoutUserInfo(mark < 0 ? whole : whole.slice(0, mark))
    return mark < 0 ? path(before) : `${path(before)}?${query(whole.slice(mark + 1))}`
  }
}

/** Returns true if a segment is long enough for a token, or has parameters. */
function mayHoldSecret(path: string): boolean {
  if (path.includes(';') || path.includes('eyJ')) return true
  for (let from = 0; from < path.length;) {
    const slash = path.indexOf('/', from)
    const end = slash < 0 ? path.length : slash
    if (end - from >= shortestToken) return true
    from = end + 1
  }
  return false
}

// Masks the part in which a target was truncated: it may be the beginning of a token, too short to be recognised.
function withoutLastPart(cut: string): string {
  const query = cut.indexOf('?')
  let end = cut.length
  while (end > 0 && !(query < 0 ? '/;' : '?&;').includes(cut[end - 1] as string)) end--
  return `${cut.slice(0, end)}${mask}...`
}

function withoutUserInfo(path: string): string {
  const from = path.startsWith('/') ? -1 : path.indexOf('://') + 3
  if (from < 3) return path
  const slash = path.indexOf('/', from)
  const at = path.lastIndexOf('@', slash < 0 ? path.length : slash)
  return at < from ? path : `${path.slice(0, from)}${mask}${path.slice(at)}`
}

/** A text with so many random characters is taken for a token: 80 bits in base 32. */
const shortestToken = 16
/** Hexadecimal digits of a token: 128 bits. Shorter ones are identifiers (an ObjectId has 24) and short hashes. */
const shortestHexToken = 32
/** Letters and digits of a token of several pieces: 128 bits in base64url, less a few `-` and `_`. */
const shortestMixedToken = 19

/**
 * Returns true if a text looks like a secret that grants access: an API key, a session, a reset link, a JWT.
 *
 * A text is pieces of letters and digits, with other characters between them. A change is a step from letters to digits, from
 * digits to letters, or from small letters to capitals. A text is a token in these cases:
 *
 * - Pieces with letters and digits have 16 characters together, and each of them is of one case, has three digits or more, or
 *   changes at every fourth character. If all their characters are hexadecimal, 32 are needed.
 * - It has small letters, capitals and digits, 19 together, and changes at every fifth: base64url, whose `-` and `_` make
 *   short pieces.
 * - It begins as a JWT does (`eyJ`) and has a dot.
 *
 * So English words, numbers of any length, slugs and names such as `getOrdersV2` are no tokens. Neither is a UUID in its
 * usual form: resources are named so, and RFC 9562 §8 forbids to take one for a secret. Random base64url may look like words, and
 * is then shown: one in twenty values of 128 bits, one in a thousand of 256 bits. A secret belongs in a field, not in a path.
 */
export function looksLikeToken(text: string): boolean {
  if (text.startsWith('eyJ') && text.includes('.')) return true
  if (text.length < shortestToken) return false
  let [random, digits, smalls, capitals, changes] = [0, 0, 0, 0, 0]
  let allHex = true
  for (let at = 0; at < text.length;) {
    if (isUuidAt(text, at)) {
      at += uuidLength
      continue
    }
    const piece = pieceAt(text, at)
    if (looksRandom(piece)) {
      random += piece.length
      allHex &&= piece.hex
    }
    digits += piece.digits
    smalls += piece.smalls
    capitals += piece.capitals
    changes += piece.changes
    at += piece.length + 1
  }
  if (random >= (allHex ? shortestHexToken : shortestToken)) return true
  const length = digits + smalls + capitals
  return length >= shortestMixedToken && digits > 0 && smalls > 0 && capitals > 0 && changes * 5 >= length
}

interface Piece {
  /** 0 where the character belongs to no piece. */
  readonly length: number
  readonly digits: number
  readonly smalls: number
  readonly capitals: number
  readonly changes: number
  readonly hex: boolean
}

function looksRandom({ length, digits, smalls, capitals, changes }: Piece): boolean {
  if (digits === 0 || digits === length) return false
  return smalls === 0 || capitals === 0 || digits >= 3 || changes * 4 >= length
}

const other = 0
const digit = 1
const small = 2
const capital = 3

function classOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return digit
  if (code >= 0x61 && code <= 0x7a) return small
  return code >= 0x41 && code <= 0x5a ? capital : other
}

/** The letters and digits from an index on. */
function pieceAt(text: string, start: number): Piece {
  let [digits, smalls, capitals, changes] = [0, 0, 0, 0]
  let hex = true
  let before = other
  let at = start
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const kind = classOf(code)
    if (kind === other) break
    if (kind === digit) digits++
    else if (kind === small) smalls++
    else capitals++
    if (kind !== digit && (code | 0x20) > 0x66) hex = false
    // A capital before small letters begins a name: that is no change.
    if (before !== other && kind !== before && !(before === capital && kind === small)) changes++
    before = kind
  }
  return { length: at - start, digits, smalls, capitals, changes, hex }
}

const uuidLength = 36

function isUuidAt(text: string, start: number): boolean {
  if (text[start + 8] !== '-' || text[start + 13] !== '-' || text[start + 18] !== '-' || text[start + 23] !== '-') return false
  for (let at = start; at < start + uuidLength; at++) {
    if (at === start + 8 || at === start + 13 || at === start + 18 || at === start + 23) continue
    const code = text.charCodeAt(at)
    // charCodeAt beyond the end is NaN, which has no class.
    const kind = classOf(code)
    if (kind === other || (kind !== digit && (code | 0x20) > 0x66)) return false
  }
  return classOf(text.charCodeAt(start + uuidLength)) === other
}
