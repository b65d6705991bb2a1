// The report of a run of the check, for people.
import type { Found, Report } from './check.ts'

export function summary({ seed, steps, seconds, found, trail }: Report): string {
  const rows = [...trail.figures].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `  ${name.padEnd(60)} ${value}`)
  return [
    `seed ${seed}: ${steps} steps in ${seconds.toFixed(1)} s, ${Math.round(steps / seconds * 60)} a minute`,
    ...rows,
    `  ${'VIOLATIONS'.padEnd(60)} ${found.length}`,
  ].join('\n')
}

export function account({ violation: { rule, purge }, story }: Found): string {
  const which = purge === undefined
    ? ''
    : `\n  purge ${purge.number} of ${JSON.stringify(purge.named)}, floor ${purge.floor}, confirmed at #${purge.confirmed}${
      purge.unsafe === undefined ? '' : `, by the post to ${purge.unsafe}`
    }`
  return `VIOLATION: ${rule}${which}\n${story}`
}
