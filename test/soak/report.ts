// The report of a run of the soak, for people.
import type { Report } from './soak.ts'
import { lived } from './soak.ts'
import { courseOf, type Course, type Series } from './samples.ts'

const MiB = 1024 * 1024

export function summary({ seed, seconds, trail, samples, violations }: Report): string {
  const rows = [...trail.figures].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `  ${name.padEnd(68)} ${value}`)
  const answered = trail.figure('requests')
  return [
    `seed ${seed}: ${seconds.toFixed(0)} s, ${Math.round(answered / seconds)} requests a second`,
    ...rows,
    'processes that were there for most of it (RSS in MiB: first, last, most, medians of the second and of the last third, slope)',
    ...samples.all.filter((series) => lived(series, seconds)).map(courseLine),
    `  ${'VIOLATIONS'.padEnd(68)} ${violations.length}`,
  ].join('\n')
}

function courseLine(series: Series): string {
  const told = ({ first, last, most, before, after, slope }: Course, unit: number): string => {
    const [one, two, three, four, five, steep] = [first, last, most, before, after, slope].map((value) => Math.round(value / unit))
    return `${one} → ${two}, most ${three}, ${four} → ${five}, ${steep}/h`
  }
  return `  ${series.name.padEnd(22)} RSS ${told(courseOf(series, 'rss'), MiB)} | handles ${told(courseOf(series, 'handles'), 1)} | sockets ${told(courseOf(series, 'sockets'), 1)}`
}
