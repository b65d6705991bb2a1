// The sum of the rounds, as Markdown.
import type { Measured } from './load.ts'

export interface Series {
  readonly name: string
  readonly rounds: readonly Measured[]
}

/** The target of a series, as a part of the first series of its table. */
export interface Target {
  readonly name: string
  readonly ratio: number
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** The median, over the rounds, of a series against the base in the same round: what slows a whole round cancels out. */
export function pairedRatio(series: Series, base: Series): number {
  return median(series.rounds.map((round, index) => round.perSecond / (base.rounds[index] as Measured).perSecond))
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US')

/** A table; the first series is 1.00, the others are a part of it. */
export function table(title: string, all: readonly Series[], targets: readonly Target[]): string {
  const [base] = all as [Series, ...Series[]]
  const rows = all.map((series) => {
    const rates = series.rounds.map(({ perSecond }) => perSecond)
    const ratio = pairedRatio(series, base)
    const target = targets.find(({ name }) => name === series.name)
    const verdict = target === undefined ? '' : `≥ ${target.ratio.toFixed(2)}: ${ratio >= target.ratio ? 'reached' : 'missed'}`
    const p99 = median(series.rounds.map(({ p99Ms }) => p99Ms)).toFixed(1)
    return `| ${series.name} | ${whole(median(rates))} | ${whole(Math.min(...rates))}–${whole(Math.max(...rates))} | ${p99} | ${ratio.toFixed(2)} | ${verdict} |`
  })
  return [`## ${title}`, '', '| | median, requests/s | min–max | p99, ms | ratio | target |', '|---|---:|---:|---:|---:|---|', ...rows, ''].join('\n')
}
