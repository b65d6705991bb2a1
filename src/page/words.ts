// How the page writes numbers, durations, sizes and times.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const hundredth = new Intl.NumberFormat('en', { maximumFractionDigits: 2 })

/** The text for a value that is not known. */
export const unknown = '–'

type Known = number | null | undefined

const isKnown = (value: Known): value is number => typeof value === 'number' && Number.isFinite(value)

/** A count: `12,345`. */
export const count = (value: Known): string => (isKnown(value) ? whole.format(value) : unknown)

/** A rate: `0.25`, `7.5`, `1,240`. */
export function rate(value: Known): string {
  if (!isKnown(value)) return unknown
  return (value < 1 ? hundredth : value < 100 ? tenth : whole).format(value)
}

/** A share between 0 and 1 as a percentage: `94.1 %`. */
export const percent = (value: Known): string => (isKnown(value) ? `${tenth.format(value * 100)} %` : unknown)

/** A duration in milliseconds: `0.4 ms`, `210 ms`, `2.5 s`, `3 min 20 s`, `8 h 12 min`, `2 d 4 h`. */
export function duration(ms: Known): string {
  if (!isKnown(ms)) return unknown
  if (ms < 0) return `−${duration(-ms)}`
  if (ms < 10) return `${hundredth.format(ms)} ms`
  if (ms < 1_000) return `${whole.format(ms)} ms`
  if (ms < 60_000) return `${tenth.format(ms / 1_000)} s`
  const parts: readonly (readonly [string, number])[] = [['d', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', 1_000]]
  const first = parts.findIndex(([, size]) => ms >= size)
  const [large, small] = [parts[first], parts[first + 1]]
  if (large === undefined) return unknown
  const rest = ms % large[1]
  const second = small === undefined ? 0 : Math.floor(rest / small[1])
  return `${Math.floor(ms / large[1])} ${large[0]}${second > 0 && small !== undefined ? ` ${second} ${small[0]}` : ''}`
}

/** A size in bytes: `512 B`, `1.2 KiB`, `3.4 GiB`. */
export function bytes(value: Known): string {
  if (!isKnown(value)) return unknown
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  const step = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10))
  return `${(step === 0 ? whole : tenth).format(value / 1024 ** step)} ${units[step] ?? ''}`
}

/** The time of day of an instant, in the viewer's zone: `14:05:09`. */
export const clockTime = (ms: number): string => new Date(ms).toLocaleTimeString('en-GB')

const two = (value: number): string => String(value).padStart(2, '0')

/** An instant with its date, in the viewer's zone: `2026-11-28 14:05:09`. */
export function dateTime(ms: number): string {
  const at = new Date(ms)
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clockTime(ms)}`
}

/** Text with its control characters and direction marks shown, so that none of them changes how the rest is read. */
export function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex -- They are what is replaced.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`)
}
