// Other readings of a path than its bytes: origins differ in what they decode, cut off, and take for a slash.

/**
 * What a path leaves to be read in several ways. `plain`: nothing; `cased`: the case of its letters alone; `odd`: it has an
 * encoding, a parameter, a backslash, two slashes in a row, a segment that ends in a dot, or a byte that is no visible ASCII.
 */
export type PathKind = 'plain' | 'cased' | 'odd'

/** Reads the path of a target, up to its query. Runs on every request where routes have paths, and allocates nothing. */
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
 * The plainest forms of a path: decoded until nothing is left to decode, backslashes as slashes, without parameters, empty
 * segments, dot segments, trailing dots, spaces and control characters. Whatever an origin undoes of these, and in whichever
 * order, it reads a path whose plainest form is among these. There are several forms because an origin may also take what
 * follows `//` for a host, and may fold characters beyond ASCII.
 *
 * `undefined`: the path has no plainest form. It climbs (`..`), decodes to no text (RFC 3629), has a `%` that encodes nothing, or
 * an encoded slash where it may end a parameter or a host.
 * @param foldCase whether `/Account` and `/account` have the same form
 */
export function plainestForms(path: string, foldCase: boolean): readonly string[] | undefined {
  const bytes = fullyDecoded(path)
  if (bytes === undefined || bytes.includes('%')) return undefined
  const slashes = count(path)
  const forms: string[] = []
  for (const text of readings(bytes)) {
    const plain = text === undefined || text.includes('%') ? undefined : plainSegments(text)
    // A slash that is encoded may end what is read as a host, or be part of it.
    if (plain === undefined || (plain.length > 1 && count(text as string) !== slashes)) return undefined
    for (const form of plain) forms.push(foldCase ? form.toLowerCase() : form)
  }
  return forms
}

/**
 * Decodes until no encoding is left, in one pass: what a decoded character completes is decoded at once (`%2561`, `%%361`).
 * Spaces and control characters are left out, as programs do that trim, or end a text at a zero byte. `undefined`: a slash
 * stands encoded in a parameter, which ends at it or goes on, as an origin decodes before it cuts parameters off or after.
 */
function fullyDecoded(path: string): string | undefined {
  const out: number[] = []
  let inParameter = false
  for (let i = 0; i < path.length; i++) {
    let char = path.charCodeAt(i)
    if (char > 0xff) return undefined
    if (char === 0x2f) inParameter = false
    for (let decoded = false; ; decoded = true) {
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

// UAX #15 §13: no text that people write has more combining marks in a row. Normalising a long row takes quadratic time.
const manyMarks = /\p{M}{31}/u

/** The text as it is, and as one that folds compatible characters has it (`ａ` is `a`); `undefined` in place of what is no UTF-8. */
function readings(bytes: string): readonly (string | undefined)[] {
  if (!/[\u0080-\u00ff]/.test(bytes)) return [bytes]
  const raw = Buffer.from(bytes, 'latin1')
  const text = raw.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(raw) || manyMarks.test(text)) return [undefined]
  const folded = text.normalize('NFKC')
  return folded === text ? [text] : [text, folded.replaceAll(/[\s\p{Cc}]/gu, '').replaceAll('\\', '/')]
}

// No program takes a host off more often: it would have to parse what it has parsed.
const mostHosts = 2

/** The path without empty segments, and without what may be a host in front of it; `undefined`: it climbs, or has more hosts. */
function plainSegments(path: string): readonly string[] | undefined {
  const kept: string[] = []
  // How many segments stand before each that may be a host, because empty ones do, in the path or once it is plain (`/;/host`).
  const hosts: number[] = []
  let empty = false
  for (const segment of path.slice(1).split('/')) {
    const parameters = segment.indexOf(';')
    const name = parameters < 0 ? segment : segment.slice(0, parameters)
    const plain = withoutTrailingDots(name)
    // `...` climbs too, if one dot is taken off.
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
