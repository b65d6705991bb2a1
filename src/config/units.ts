// Parses and formats durations and sizes.

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

// Largest first: formatting takes the first unit that leaves no remainder.
const durationUnits: readonly (readonly [name: string, ms: number])[] = [
  ['d', DAY],
  ['h', HOUR],
  ['m', MINUTE],
  ['s', SECOND],
  ['ms', 1],
]
const sizeUnits: readonly (readonly [name: string, bytes: number])[] = [
  ['GiB', GiB],
  ['MiB', MiB],
  ['KiB', KiB],
  ['GB', 1e9],
  ['MB', 1e6],
  ['KB', 1e3],
  ['B', 1],
]

const written = /^(\d{1,15}) ?([a-z]+)$/i

/** Parses a duration such as `500ms`, `30s`, `5m`, `1h` or `1d` to milliseconds; undefined for anything else. `0` needs no unit. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  const [, digits, unit] = written.exec(text) ?? []
  // Case matters: 5M could mean months as well as minutes.
  const row = durationUnits.find(([name]) => name === unit)
  return row === undefined ? undefined : safe(Number(digits) * row[1])
}

/** Formats a duration in its shortest form, such as `90s` or `1h`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  const [name, unit] = durationUnits.find(([, each]) => ms % each === 0) ?? ['ms', 1]
  return `${ms / unit}${name}`
}

/** Parses a size such as `64KiB` (1024 each) or `64KB` (1000 each), or a bare number, to bytes; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  const [, digits, unit] = written.exec(text) ?? []
  const row = sizeUnits.find(([name]) => name.toLowerCase() === unit?.toLowerCase())
  return row === undefined ? undefined : safe(Number(digits) * row[1])
}

/** Formats a size in its shortest form, such as `64MiB`; in plain bytes if no binary unit fits. */
export function formatSize(bytes: number): string {
  const row = sizeUnits.slice(0, 3).find(([, each]) => bytes > 0 && bytes % each === 0)
  return row === undefined ? `${bytes}` : `${bytes / row[1]}${row[0]}`
}

function safe(value: number): number | undefined {
  return Number.isSafeInteger(value) ? value : undefined
}
