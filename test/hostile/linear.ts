// Checks that work grows in proportion to the input: the runs that are tried, and counts of the blocks that V8 executes, in
// place of a clock.
import { Session, type Profiler } from 'node:inspector'

/** A function that reads one text. It may throw: other tests check that. */
export type Reader = (text: string) => unknown
/** A function that reads the lines of a message: name, value, name, value. */
export type LineReader = (lines: readonly string[]) => unknown

/** Repeated, these runs lead expressions and nested loops into more than linear work. */
export const runs: readonly string[] = [
  'a',
  ' ',
  '\t',
  ',',
  '"',
  '\\',
  ';',
  '=',
  '-',
  '0',
  '9',
  '*',
  '.',
  '/',
  '%',
  '&',
  '?',
  '<',
  '>',
  '(',
  '[',
  '{',
  ':',
  '\0',
  '\xa0',
  'é',
  '~',
  'A',
  '_',
  'a,',
  'a ',
  ' ,',
  '\\"',
  '""',
  'a=',
  '=a,',
  'a;',
  ';a=',
  ';q=1,',
  'a;q=0.1,',
  '0-1,',
  '-1,',
  '"a",',
  'W/"',
  'a.',
  '.a',
  '::',
  '("a"',
  'a;a=',
  'a="',
  'a"',
  '&a=',
  'utm_&',
  'a\\',
  '<a>,',
  '<a>;',
  '<<',
  '="',
  'a="a" ',
  'for=',
  'for=a;',
  'for="a",',
  '../',
  '%2e',
  '%2e/',
  '/;a',
  '//',
  'bytes=',
  'max-age=',
  'max-age=1,',
  'private="',
  'no-cache="a",',
  'private=a,',
  'a b ',
  ' \t',
  '[1,',
  '"\\',
]

// The fields that anything in src reads, of a request and of a response.
export const requestNames: readonly string[] = ['host', 'connection', 'cookie', 'via', 'cdn-loop', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host',
  'x-forwarded-port', 'accept', 'accept-encoding', 'accept-language', 'cache-control', 'pragma', 'range', 'if-range', 'if-none-match', 'if-modified-since', 'content-length',
  'transfer-encoding', 'max-forwards', 'x-request-id', 'x-key', 'x']
export const responseNames: readonly string[] = ['connection', 'vary', 'cache-control', 'cdn-cache-control', 'surrogate-control', 'expires', 'date', 'age', 'etag', 'last-modified',
  'cache-tag', 'surrogate-key', 'cache-groups', 'cache-group-invalidation', 'location', 'content-location', 'content-range', 'content-length', 'content-type', 'transfer-encoding',
  'set-cookie', 'link', 'trailer', 'x']

const fieldNames: readonly string[] = [...new Set([...requestNames, ...responseNames])]

/** Texts of about a length that repeat themselves. */
export function attacks(run: string, length: number): string[] {
  const many = run.repeat(Math.ceil(length / run.length))
  return [many, `"${many}`, `${many}!`, `a${many}a`, `max-age=${many}`, `<a>;${many}"`, `for=${many}`]
}

/** The lines of a message, each by its number: of one name, of every other name, of names that differ. */
export const lineAttacks: readonly ((i: number) => readonly [name: string, value: string])[] = [
  ...fieldNames.map((name) => (i: number) => [name, name === 'connection' || name === 'vary' ? `x-${i}` : 'a'] as const),
  (i) => [`x-${i}`, 'a'],
  (i) => (i % 2 === 0 ? ['connection', `x-${i + 1}`] : [`x-${i}`, 'a']),
  (i) => ['connection', `x_${i}, x-forwarded-${i}`],
  (i) => [`X_Forwarded_${i}`, 'a'],
  (i) => ['cookie', `a${i}=b`],
  (i) => ['link', `<a${i}>; rel=b`],
]

/** So many lines. */
export function linesOf(attack: (typeof lineAttacks)[number], count: number): string[] {
  return Array.from({ length: count }, (_, i) => attack(i)).flat()
}

/**
 * Counts the blocks of code that run, in files whose address contains one of these texts. V8 counts only in functions that it
 * compiles from now on: make this before loading the code to measure.
 */
export class Blocks {
  readonly #session = new Session()
  readonly #where: readonly string[]

  constructor(...where: readonly string[]) {
    this.#where = where
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Sets the count to zero: before the first of several counts, between which nothing that is counted runs. */
  reset(): void {
    this.#taken()
  }

  /** Returns how many blocks have run since the last count, and in a piece of work. Errors that it throws are ignored. */
  of(work: () => unknown): number {
    try {
      work()
    } catch { /* Other tests check that it does not throw. */ }
    return this.#taken()
  }

  #taken(): number {
    let blocks = 0
    this.#session.post('Profiler.takePreciseCoverage', (_error: Error | null, { result }: Profiler.TakePreciseCoverageReturnType) => {
      for (const { url, functions } of result) {
        if (!this.#where.some((part) => url.includes(part))) continue
        for (const { ranges } of functions) for (const { count } of ranges) blocks += count
      }
    })
    return blocks
  }

  close(): void {
    this.#session.disconnect()
  }
}

/** The most blocks for each character that a reader runs over a number of runs, and over which. */
export function blocksPerChar(blocks: Blocks, read: Reader, length: number): { most: number; over: string } {
  let most = 0
  let over = ''
  blocks.reset()
  // In groups, because reading the counts costs more than the work does. A bad run stands out in its group all the same.
  for (let from = 0; from < runs.length; from += runsTogether) {
    const texts = runs.slice(from, from + runsTogether).flatMap((run) => attacksOf(run, length))
    const chars = texts.reduce((sum, text) => sum + text.length, 0)
    const count = blocks.of(() => {
      for (const text of texts) attempt(() => read(text))
    }) / chars
    if (count > most) [most, over] = [count, runs.slice(from, from + runsTogether).map((run) => JSON.stringify(run)).join(' ')]
  }
  return { most, over }
}

const runsTogether = 10

// Each reader reads the same texts and lines.
const attacksOf = remembered(attacks)
const linesFor = remembered(linesOf)

/** The same function, which makes each value once. */
function remembered<Key, Value>(make: (key: Key, size: number) => Value): (key: Key, size: number) => Value {
  const known = new Map<Key, { size: number; value: Value }>()
  return (key, size) => {
    const found = known.get(key)
    if (found?.size === size) return found.value
    const value = make(key, size)
    known.set(key, { size, value })
    return value
  }
}

/** The same of lines: for each line. */
export function blocksPerLine(blocks: Blocks, read: LineReader, count: number, tried = lineAttacks): { most: number; over: string } {
  let most = 0
  let over = ''
  blocks.reset()
  for (const attack of tried) {
    const lines = linesFor(attack, count)
    const each = blocks.of(() => read(lines)) / count
    if (each > most) [most, over] = [each, `${lines[0]}: ${lines[1]}`]
  }
  return { most, over }
}

/** Runs it, whether it throws or not. */
export function attempt(work: () => unknown): void {
  try {
    work()
  } catch { /* Other tests check that it does not throw. */ }
}
