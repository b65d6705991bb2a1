// Durations and sizes as operators write them, and the plain numbers that the program works with.

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

// Largest first: the order in which a format looks for the unit that fits without a remainder.
const durationUnits: readonly (readonly [name: string, ms: number])[] = [
  ['d', DAY], ['h', HOUR], ['m', MINUTE], ['s', SECOND], ['ms', 1],
]
const sizeUnits: readonly (readonly [name: string, bytes: number])[] = [
  ['GiB', GiB], ['MiB', MiB], ['KiB', KiB], ['GB', 1e9], ['MB', 1e6], ['KB', 1e3], ['B', 1],
]

const written = /^(\d{1,15}) ?([a-z]+)$/i

/** Milliseconds of a duration such as `500ms`, `30s`, `5m`, `1h` or `1d`; undefined for anything else. `0` needs no unit. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  const [, digits, unit] = written.exec(text) ?? []
  // Case matters here: to whom writes 5M, a month may be as near as a minute.
  const row = durationUnits.find(([name]) => name === unit)
  return row === undefined ? undefined : safe(Number(digits) * row[1])
}

/** The shortest way to write a duration, such as `90s` or `1h`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  const [name, unit] = durationUnits.find(([, each]) => ms % each === 0) ?? ['ms', 1]
  return `${ms / unit}${name}`
}

/** Bytes of a size such as `64KiB` (1024 each) or `64KB` (1000 each), or of a bare number; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  const [, digits, unit] = written.exec(text) ?? []
  const row = sizeUnits.find(([name]) => name.toLowerCase() === unit?.toLowerCase())
  return row === undefined ? undefined : safe(Number(digits) * row[1])
}

/** The shortest way to write a size, such as `64MiB`; bare bytes where no binary unit fits. */
export function formatSize(bytes: number): string {
  const row = sizeUnits.slice(0, 3).find(([, each]) => bytes > 0 && bytes % each === 0)
  return row === undefined ? `${bytes}` : `${bytes / row[1]}${row[0]}`
}

function safe(value: number): number | undefined {
  return Number.isSafeInteger(value) ? value : undefined
}
