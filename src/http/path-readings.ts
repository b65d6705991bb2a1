// The ways in which origins may read a path: they differ in what they decode, remove, and take for a slash.

/**
 * The parts of a path that origins may read differently. `plain`: none. `cased`: only the case of letters. `odd`: an
 * encoding, a parameter, a backslash, two slashes in a row, a segment that ends in a dot, or a byte that is not visible
 * ASCII.
 */
export type PathKind = 'plain' | 'cased' | 'odd'

/** Classifies the path of a target, up to its query. Runs on every request if routes have paths, and allocates nothing. */
export function pathKind(target: string): PathKind {
  let cased = false
  for (let i = 0; i < target.length; i++) {
    const char = target.charCodeAt(i)
    if (char >= 0x61 && char <= 0x7a) continue
    if (char === 0x3f) break // ?
    if (char <= 0x20 || char >= 0x7f || char === 0x25 || char === 0x3b || char === 0x5c) return 'odd' // % ; \
    if (char === 0x2f && target.charCodeAt(i + 1) === 0x2f) return 'odd' // //
    if (char === 0x2e && endsSegment(target, i + 1)) return 'odd' // .
    cased ||= char >= 0x41 && char <= 0x5a
  }
  return cased ? 'cased' : 'plain'
}

function endsSegment(target: string, at: number): boolean {
  const char = target.charCodeAt(at)
  return Number.isNaN(char) || char === 0x2f || char === 0x3f
}

/**
 * Returns the plainest forms of a path: fully decoded, with slashes for backslashes, and without parameters, empty segments,
 * dot segments, trailing dots, spaces and control characters, and without the text after an encoded `?` or `#`. An origin may undo any of these,
 * in any order: the plainest form of the path that it reads is among these forms. There are several because an origin may also take the text after `//`
 * for a host, and may fold characters beyond ASCII.
 *
 * Returns `undefined` if the path has no plainest form. It climbs (`..`), decodes to invalid UTF-8 (RFC 3629), has a `%` that
 * encodes nothing, an encoded zero byte, or an encoded slash that may end a parameter or a host.
 * @param foldCase true if `/Account` and `/account` have the same form
 */
export function plainestForms(path: string, foldCase: boolean): readonly string[] | undefined {
  const bytes = fullyDecoded(path)
  if (bytes === undefined || bytes.includes('%')) return undefined
  const slashes = count(path)
  const forms: string[] = []
  for (const text of readings(bytes)) {
    const plain = text === undefined || text.includes('%') ? undefined : plainSegments(text)
    // An encoded slash may end what an origin reads as a host, or be part of it.
    if (plain === undefined || (plain.length > 1 && count(text as string) !== slashes)) return undefined
    // An origin that decodes a target before it parses the query ends the path at an encoded `?` or `#`.
    const [beforeQuery = ''] = (text as string).split(/[?#]/, 1)
    const cut = beforeQuery === text ? [] : plainSegments(beforeQuery)
    if (cut === undefined) return undefined
    for (const form of [...plain, ...cut]) forms.push(foldCase ? form.toLowerCase() : form)
  }
  return forms
}

/**
 * Decodes in one pass until no encoding is left: an encoding that a decoded character completes is decoded at once (`%2561`,
 * `%%361`). Leaves out spaces and control characters, because some programs trim them.
 *
 * Returns `undefined` for a zero byte, at which some programs end a text. Also if a slash is encoded in a parameter: the parameter ends there if an origin decodes before it removes
 * parameters, and goes on otherwise.
 */
function fullyDecoded(path: string): string | undefined {
  const out: number[] = []
  let inParameter = false
  for (let i = 0; i < path.length; i++) {
    let char = path.charCodeAt(i)
    if (char > 0xff) return undefined
    if (char === 0x2f) inParameter = false
    for (let decoded = false;; decoded = true) {
      if (char === 0) return undefined
      if (char <= 0x20 || char === 0x7f) break
      inParameter ||= char === 0x3b
      if (inParameter && (char === 0x5c || (decoded && char === 0x2f))) return undefined
      out.push(char === 0x5c ? 0x2f : char)
      const high = hexValue(out.at(-2))
      const low = hexValue(out.at(-1))
      if (out.at(-3) !== 0x25 || high < 0 || low < 0) break
      out.length -= 3
      char = high * 16 + low
    }
  }
  return Buffer.from(out).toString('latin1')
}

function count(text: string): number {
  let slashes = 0
  for (let at = text.indexOf('/'); at >= 0; at = text.indexOf('/', at + 1)) slashes++
  return slashes
}

function hexValue(char: number | undefined): number {
  if (char === undefined) return -1
  if (char >= 0x30 && char <= 0x39) return char - 0x30
  const letter = char | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

// UAX #15 §13: no real text has more combining marks in a row. Normalising a long row takes quadratic time.
const manyMarks = /\p{M}{31}/u

/** Returns the text as it is, and with compatible characters folded (`ａ` is `a`); `undefined` in place of invalid UTF-8. */
function readings(bytes: string): readonly (string | undefined)[] {
  if (!/[\u0080-\u00ff]/.test(bytes)) return [bytes]
  const raw = Buffer.from(bytes, 'latin1')
  const text = raw.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(raw) || manyMarks.test(text)) return [undefined]
  const folded = text.normalize('NFKC')
  return folded === text ? [text] : [text, folded.replaceAll(/[\s\p{Cc}]/gu, '').replaceAll('\\', '/')]
}

// No program removes a host more often: it would have to parse its own result.
const mostHosts = 2

/**
 * Returns the path without empty segments, with and without each possible host in front. `undefined` if it climbs or has
 * more hosts.
 */
function plainSegments(path: string): readonly string[] | undefined {
  const kept: string[] = []
  // The number of segments before each possible host. A segment may be a host if empty ones precede it, in the path or its
  // plain form (`/;/host`).
  const hosts: number[] = []
  let empty = false
  for (const segment of path.slice(1).split('/')) {
    const parameters = segment.indexOf(';')
    const name = parameters < 0 ? segment : segment.slice(0, parameters)
    const plain = withoutTrailingDots(name)
    // `...` also climbs if one dot is removed.
    if (plain === '' && name.length > 1) return undefined
    if (plain !== '') {
      if (empty && hosts.length === kept.length) hosts.push(kept.length)
      kept.push(plain)
    }
    empty = plain === ''
  }
  if (hosts.length > mostHosts) return undefined
  const end = empty ? '/' : ''
  return [0, ...hosts.map(before => before + 1)].map(from => from === kept.length ? '/' : `/${kept.slice(from).join('/')}${end}`)
}

function withoutTrailingDots(name: string): string {
  let end = name.length
  while (end > 0 && name.charCodeAt(end - 1) === 0x2e) end--
  return end === name.length ? name : name.slice(0, end)
}
