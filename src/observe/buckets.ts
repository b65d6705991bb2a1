// Log-linear buckets for durations: the same for every process, so that counts can be added.

/**
 * The upper bounds of the buckets in milliseconds, ascending. Each decade from 10 microseconds to 100 seconds has sixteen
 * buckets. A bound is at most a quarter above the bound before it. The bounds of docs/metrics.md are among them. The last bucket,
 * without a bound, holds longer durations.
 */
export const bucketBoundsMs: readonly number[] = decades(-2, 2)

/** How many buckets there are, with the last one, which has no bound. */
export const bucketCount = bucketBoundsMs.length + 1

function decades(first: number, last: number): number[] {
  const bounds = [10 ** first]
  for (let decade = first; decade < last + 3; decade++) {
    for (const step of [12, 14, 16, 18, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100]) {
      // Divides where a decade is below 1: 12 * 0.01 is not 0.12.
      bounds.push(decade < 1 ? step / 10 ** (1 - decade) : step * 10 ** (decade - 1))
    }
  }
  return bounds
}

const bounds = Float64Array.from(bucketBoundsMs)

/** Returns the index of the bucket of a duration: the first whose bound is not below it. Takes seven comparisons, always. */
export function bucketOf(ms: number): number {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ms <= (bounds[middle] as number)) high = middle
    else low = middle + 1
  }
  return low
}

/**
 * Returns the bound of the bucket that holds a quantile, and at most `maxMs`; null if nothing was counted.
 * @param quantile from 0 to 1
 * @param maxMs the longest duration that was counted, if known
 */
export function quantileOf(counts: ArrayLike<number>, quantile: number, maxMs = Infinity): number | null {
  let total = 0
  for (let i = 0; i < counts.length; i++) total += counts[i] as number
  if (total <= 0) return null
  const rank = Math.max(1, Math.ceil(total * quantile))
  let below = 0
  for (let i = 0; i < counts.length; i++) {
    below += counts[i] as number
    if (below >= rank) return Math.min(bucketBoundsMs[i] ?? maxMs, maxMs)
  }
  return maxMs
}

/**
 * Writes counts as text, for another process: runs of counts in base 36, each after the index of its first bucket.
 * `2:a,1;1c:3` is 10 in bucket 2, 1 in bucket 3, and 3 in bucket 48. Empty if nothing was counted.
 */
export function encodeCounts(counts: ArrayLike<number>): string {
  let text = ''
  let next = -1
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as number
    if (count === 0) continue
    text += i === next ? ',' : `${text === '' ? '' : ';'}${i.toString(36)}:`
    text += count.toString(36)
    next = i + 1
  }
  return text
}

/** Adds counts that another process has written. Returns false, and adds nothing, if the text is not such counts. */
export function addEncoded(text: string, into: Float64Array): boolean {
  if (text === '') return true
  const read: [index: number, count: number][] = []
  for (const run of text.split(';')) {
    const [first = '', counts, ...rest] = run.split(':')
    let index = wholeOf(first)
    if (counts === undefined || rest.length > 0) return false
    for (const count of counts.split(',')) {
      const value = wholeOf(count)
      if (!(index < into.length) || !Number.isSafeInteger(value)) return false
      read.push([index, value])
      index++
    }
  }
  for (const [index, count] of read) into[index] = (into[index] as number) + count
  return true
}

function wholeOf(text: string): number {
  return /^[0-9a-z]{1,11}$/.test(text) ? Number.parseInt(text, 36) : NaN
}
