// Texts that double in length, through every expression and everything that reads: the time that each takes must double too.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { attempt, lineAttacks, linesOf, runs } from './linear.ts'
import { randomFrom } from './mutate.ts'
import { lineReaders, readers } from './reading.ts'
import { expressionsOf } from './regex-sources.ts'

/** Work whose time depends on its input: `size` is about the number of characters, or lines. */
interface Subject {
  readonly name: string
  /** An input of any size; the same pieces in each. */
  input(random: () => number): (size: number) => () => unknown
  readonly smallest: number
}

const source = fileURLToPath(new URL('../../../src/', import.meta.url))
const oneOf = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)] as T

/** A run of one or two repeated pieces, with text before and behind it: most faults show by then. */
function textOf(random: () => number, pieces: readonly string[]): (size: number) => string {
  const piece = (): string => (random() < 0.3 ? '' : oneOf(pieces, random) + (random() < 0.3 ? oneOf(pieces, random) : ''))
  const run = oneOf(pieces, random) + (random() < 0.4 ? oneOf(pieces, random) : '') || 'a'
  const [before, after] = [piece(), piece()]
  return (size) => before + run.repeat(Math.ceil(size / run.length)) + after
}

function expressionSubjects(): Subject[] {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  return files.flatMap((file) =>
    expressionsOf(readFileSync(`${source}${file}`, 'utf8')).literals.map(({ line, expression }): Subject => {
      // Its own characters, and the names between its signs, can lead it astray.
      const pieces = [...new Set([...expression.source.replaceAll('\\', ''), ...expression.source.split(/[^\w-]+/).filter((word) => word !== ''), ...runs])]
      return {
        name: `${file}:${line} ${String(expression)}`,
        smallest: 4_000,
        input: (random) => {
          const text = textOf(random, pieces)
          return (size) => {
            const made = text(size)
            return () => made.replace(expression, '')
          }
        },
      }
    })
  )
}

const subjects: readonly Subject[] = [
  ...expressionSubjects(),
  ...Object.entries(readers).map(([name, read]): Subject => ({
    name,
    smallest: 4_000,
    input: (random) => {
      const text = textOf(random, runs)
      return (size) => {
        const made = text(size)
        return () => read(made)
      }
    },
  })),
  ...Object.entries(lineReaders).map(([name, read]): Subject => ({
    name: `lines: ${name}`,
    smallest: 500,
    input: (random) => {
      const attack = oneOf(lineAttacks, random)
      return (size) => {
        const made = linesOf(attack, size)
        return () => read(made)
      }
    },
  })),
]

/** Returns the shortest of a few times of the work, in milliseconds. Other work of the machine only adds, and little to long work. */
function timeOf(work: () => unknown, times: number): number {
  let least = Infinity
  for (let i = 0; i < times && (least === Infinity || least * i < 200); i++) {
    const start = performance.now()
    attempt(work)
    least = Math.min(least, performance.now() - start)
  }
  return least
}

// 64 times the input takes 64 times the time, several times that where memory is collected. Quadratic work takes 4,096 times.
// Work that takes seconds before that is not waited for: a character is worth a microsecond, and not thirty.
const span = 64
const tooMuch = 1_000
const shortestMs = 2
const longestMs = 2_000

/** How often longer 64 times the input takes, where that is too much. */
function growth(make: (size: number) => () => unknown, { smallest }: Subject, times: number): string | undefined {
  const least = timeOf(make(smallest), times)
  for (const size of [smallest * 4, smallest * 16]) {
    const took = timeOf(make(size), 1)
    if (took > longestMs) return `takes ${least.toFixed(2)} ms for ${smallest}, and ${took.toFixed()} ms for ${size}`
  }
  const most = timeOf(make(smallest * span), times)
  if (most < shortestMs || most / least < tooMuch) return undefined
  return `takes ${least.toFixed(2)} ms for ${smallest}, and ${most.toFixed()} ms for ${smallest * span}`
}

/** Tries one input after another, from `seed` on, until `enough` says so: each subject in its turn. */
export async function fuzzLinear(seed: number, enough: (tried: number) => boolean): Promise<{ tried: number; passed: number; failures: readonly string[] }> {
  const failures: string[] = []
  const failed = new Set<string>()
  let tried = 0
  for (; !enough(tried) && failures.length < 20; tried++) {
    const subject = subjects[tried % subjects.length] as Subject
    if (failed.has(subject.name)) continue
    const make = subject.input(randomFrom(seed + tried))
    // Again with more repetitions where growth seems too fast: the cause may be a busy machine.
    const found = growth(make, subject, 3) && growth(make, subject, 15)
    if (found === undefined) continue
    failed.add(subject.name)
    failures.push(`seed ${seed + tried}: ${subject.name} ${found}`)
  }
  return { tried, passed: tried - failures.length, failures }
}
