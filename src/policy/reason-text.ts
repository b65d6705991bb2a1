// The form of the texts about reasons: sentences with optional pieces, which are filled in from one request and its response.

/** The facts of one request that a text may show. Cookie, Set-Cookie and Authorization are never shown by their values. */
export type FactName = 'age' | 'field' | 'lifetime' | 'limit' | 'method' | 'purge' | 'route' | 'stale' | 'status' | 'ttl' | 'value' | 'variants' | 'vary'
export type Facts = Readonly<Partial<Record<FactName, string>>>

/**
 * The text of a reason. A piece in angle brackets is shown if each fact that it names is known (`fresh< for another {ttl}>`).
 * `section`: the RFC section or setting that demands it. `advice`: the change that leads to another result; `Nothing` if none is needed.
 */
export interface ReasonText {
  readonly section: string
  readonly meaning: string
  readonly advice: string
}

const piece = /<([^<>]*)>/g
const place = /\{(\w+)\}/g

/** Fills facts into a text. Values keep their characters: a value is never read as a piece or a place. */
export function filled(text: string, facts: Facts = {}): string {
  return text.replace(piece,
    (_whole, inner: string) => (placesOf(inner).every(name => facts[name] !== undefined) ? inner.replace(place, (_, name: FactName) => String(facts[name])) : ''))
}

/** The names of the facts in a text. */
export function placesOf(text: string): FactName[] {
  return [...text.matchAll(place)].map(([, name]) => name as FactName)
}

/** Returns a duration in a unit that is easy to read: `350 ms`, `52 s`, `12 min`, `3 h`, `9 days`. */
export function readableDuration(ms: number): string {
  const units: readonly (readonly [string, number])[] = [['days', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', 1_000]]
  const [name, length] = units.find(([, each]) => ms >= 2 * each) ?? ['ms', 1]
  return `${Math.floor(ms / length)} ${name}`
}
