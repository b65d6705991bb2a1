// A normal form of the request fields that Vary names: two requests for the same thing compare equal.
import { listMembers } from './fields.ts'
import { withoutOuterSpace } from './white-space.ts'

/**
 * Returns the value of a request field as it is compared under Vary. RFC 9111 §4.1 lets a cache change white space if the
 * syntax allows it, and normalise "in a way that is known to have identical semantics". Applying it twice changes nothing.
 * - Accept-Encoding, Accept-Language: lower case (RFC 9110 §12.5.3 and §12.5.4 match without regard to case), without spaces
 *   and `q=1`. Members are sorted by falling q, then by alphabet: equal weights mean equal preference. §12.5.4 notes that
 *   some recipients prefer the first of equals, and that this "cannot be relied upon".
 * - Accept: the same, but parameter values keep their case, and members with equal q keep their order.
 * - Any other field, and these if malformed or not plain ASCII: only the white space around commas changes. How an origin
 *   reads a malformed value is unknown, so it must not share a variant with a well-formed one.
 */
export function normaliseSelecting(name: string, value: string): string {
  const field = preferenceFields.get(name)
  if (field === undefined) return normaliseCommas(value)
  let normal = field.known.get(value)
  if (normal === undefined) {
    normal = normalisePreferences(value, field.parse, field.alphabetical) ?? normaliseCommas(value)
    if (value.length <= 256) {
      if (field.known.size >= 256) field.known.clear()
      field.known.set(value, normal)
    }
  }
  return normal
}

interface PreferenceField {
  readonly parse: (member: string) => Preference | undefined
  readonly alphabetical: boolean
  /** Recent normal forms. Clients of one API send a handful of values, and every hit on a varying resource needs one. */
  readonly known: Map<string, string>
}

interface Preference {
  readonly range: string
  /** Weight in thousandths, 0 to 1000. */
  readonly weight: number
}

const preferenceFields: ReadonlyMap<string, PreferenceField> = new Map([
  ['accept-encoding', { parse: parsePlain, alphabetical: true, known: new Map() }],
  ['accept-language', { parse: parsePlain, alphabetical: true, known: new Map() }],
  ['accept', { parse: parseMediaRange, alphabetical: false, known: new Map() }],
])

function normalisePreferences(
  value: string,
  parse: (member: string) => Preference | undefined,
  alphabetical: boolean,
): string | undefined {
  // This also keeps to ASCII the white space that listMembers trims.
  if (!/^[\t\x20-\x7e]*$/.test(value)) return undefined
  const preferences: Preference[] = []
  for (const member of listMembers(value)) {
    const preference = parse(member)
    if (preference === undefined) return undefined
    preferences.push(preference)
  }
  preferences.sort((a, b) => b.weight - a.weight || (alphabetical ? byAlphabet(a.range, b.range) : 0))
  let normal = ''
  for (const { range, weight } of preferences) {
    normal += `${normal === '' ? '' : ','}${range}${weight === 1000 ? '' : `;q=${weight / 1000}`}`
  }
  return normal
}

function byAlphabet(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const plain = new RegExp(`^(${token})(?:[ \\t]*;[ \\t]*[qQ]=([\\d.]+))?$`)
const mediaType = new RegExp(`^${token}/${token}$`)
const parameter = new RegExp(`^(${token})=(${token}|"(?:[^"\\\\]|\\\\.)*")$`)

/** Parses a coding or a language range, with its weight. */
function parsePlain(member: string): Preference | undefined {
  const match = plain.exec(member)
  if (match === null) return undefined
  const weight = parseWeight(match[2] ?? '1')
  return weight === undefined ? undefined : { range: (match[1] as string).toLowerCase(), weight }
}

/** Parses a media range with its parameters. The parameter named q is its weight, wherever it stands (RFC 9110 §12.5.1). */
function parseMediaRange(member: string): Preference | undefined {
  const [type, ...parameters] = splitOutsideQuotes(member, 0x3b)
  if (type === undefined || !mediaType.test(type)) return undefined
  let range = type.toLowerCase()
  let weight: number | undefined
  for (const text of parameters) {
    if (text === '') continue // §5.6.6: parameters may be empty
    const match = parameter.exec(text)
    if (match === null) return undefined
    const name = (match[1] as string).toLowerCase()
    if (name !== 'q') {
      range += `;${name}=${match[2]}`
    } else {
      if (weight !== undefined) return undefined
      weight = parseWeight(match[2] as string)
      if (weight === undefined) return undefined
    }
  }
  return { range, weight: weight ?? 1000 }
}

/** Parses a qvalue (RFC 9110 §12.4.2) in thousandths: 0 to 1, at most three decimals. */
function parseWeight(text: string): number | undefined {
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Math.round(Number(text) * 1000) : undefined
}

/** Puts one space after each comma outside quotes, and none before it or around the whole. */
function normaliseCommas(value: string): string {
  if (!value.includes(',')) return withoutOuterSpace(value)
  return withoutOuterSpace(splitOutsideQuotes(value, 0x2c).join(', '))
}

/** Splits a value at separators outside quotes, and trims the parts. */
function splitOutsideQuotes(value: string, separator: number): string[] {
  const parts: string[] = []
  let start = 0
  let quoted = false
  for (let i = 0; i < value.length; i++) {
    const char = value.charCodeAt(i)
    if (quoted && char === 0x5c) i++
    else if (char === 0x22) quoted = !quoted
    else if (char === separator && !quoted) {
      parts.push(withoutOuterSpace(value, start, i))
      start = i + 1
    }
  }
  parts.push(withoutOuterSpace(value, start))
  return parts
}
