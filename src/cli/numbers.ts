// Numbers as people read them on a terminal.
import { readableDuration } from '../policy/reason-text.ts'

/** `12,345` */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `94.1 %`; `-` if nothing was counted. */
export function percent(ratio: number | null | undefined): string {
  return ratio === null || ratio === undefined ? '-' : `${(ratio * 100).toFixed(1)} %`
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1.2 GiB` */
export function readableBytes(bytes: number): string {
  let [value, unit] = [bytes, 0]
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** A latency: `0.4 ms`, `12 ms`, `3 s`. */
export function readableLatency(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '-'
  return ms < 10 ? `${ms.toFixed(1)} ms` : readableDuration(ms)
}

/** The members that are not zero, greatest first: `no-store 12  private 3`. At most `most` of them, and the number of the rest. */
export function greatest(counts: Readonly<Record<string, number>>, most: number): string {
  const all = Object.entries(counts).filter(([, count]) => count > 0).toSorted(([, a], [, b]) => b - a)
  const left = all.length - most
  return [...all.slice(0, most).map(([name, count]) => `${name} ${grouped(count)}`), ...(left > 0 ? [`and ${left} more`] : [])].join('  ') || '-'
}
