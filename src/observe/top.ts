// The keys, tags, routes and reasons with the most requests, misses, bytes and origin time of the last five minutes, from a sample.
import type { Clock } from '../clock.ts'
import type { ClientExchange } from '../exchange/client/exchange.ts'
import { isAmount, isRecord } from './checks.ts'
import { Heaviest, mergedHeaviest, type Heavy } from './heaviest.ts'
import type { Sampler } from './numbers.ts'

/** The kinds of names that are listed, and the measures that order them. */
export const subjects = ['keys', 'tags', 'routes', 'reasons'] as const
export const measures = ['requests', 'misses', 'bytes', 'originMs'] as const
export type Subject = typeof subjects[number]
export type Measure = typeof measures[number]

export const topWindowMs = 300_000
const periodMs = 60_000
const periods = topWindowMs / periodMs

/** A list as processes exchange it. */
export interface TopData {
  readonly items: readonly Heavy[]
  readonly floor: number
  /** The sum of all names. */
  readonly total: number
  /** The number of requests that a sampled request stands for; 1 if each request was taken. */
  readonly sampledOneIn: number
}

/** A row of the list, as the admin API shows it. */
export interface TopItem {
  readonly name: string
  readonly value: number
  /** By how much `value` may be off, by sampling and by the fixed number of places. */
  readonly error: number
  /** The part of all requests, misses, bytes or time; null if there are none. */
  readonly share: number | null
  readonly hitRatio: number | null
}

export interface TopParts {
  readonly clock: Clock
  readonly sampleOneIn: number
  /** Places of each list. */
  readonly places: number
  /** Shows a target without secrets. Targets with the same mask are one row. */
  readonly mask: (target: string) => string
  readonly random?: () => number
}

// While traffic is low, each request is taken: so many a second.
const alwaysPerSecond = 50
// A response may have thousands.
const mostTags = 16
const mostNameChars = 256

interface Period {
  readonly number: number
  readonly lists: Readonly<Record<Subject, Readonly<Record<Measure, Heaviest>>>>
  sampled: boolean
}

/** Takes the first requests of each second, and one in `sampleOneIn` of the others, which then stands for so many. */
export class Top implements Sampler {
  readonly #parts: TopParts
  readonly #random: () => number
  #free = alwaysPerSecond
  #skip: number
  #periods: Period[] = []

  constructor(parts: TopParts) {
    this.#parts = parts
    this.#random = parts.random ?? Math.random
    this.#skip = this.#nextSkip()
  }

  ended(exchange: ClientExchange): void {
    if (this.#free > 0) {
      this.#free--
      this.#take(exchange, 1)
    } else if (--this.#skip <= 0) {
      this.#skip = this.#nextSkip()
      this.#take(exchange, this.#parts.sampleOneIn)
    }
  }

  /** Called once a second. */
  tick(): void {
    this.#free = alwaysPerSecond
  }

  data(of: Subject, by: Measure): TopData {
    const periodsNow = this.#recent()
    const lists = periodsNow.map(({ lists: { [of]: { [by]: list } } }) => list)
    return {
      items: mergedHeaviest(lists.map(list => ({ items: list.list(), floor: list.floor }))),
      floor: lists.reduce((sum, { floor }) => sum + floor, 0),
      total: lists.reduce((sum, { total }) => sum + total, 0),
      sampledOneIn: periodsNow.some(({ sampled }) => sampled) ? this.#parts.sampleOneIn : 1,
    }
  }

  // The mean of 1 to 2n - 1 is n. At random, because traffic may repeat itself.
  #nextSkip(): number {
    return 1 + Math.floor(this.#random() * (2 * this.#parts.sampleOneIn - 1))
  }

  #take(exchange: ClientExchange, weight: number): void {
    const { outcome, routed, bodyBytes, origin } = exchange
    const period = this.#current()
    if (weight > 1) period.sampled = true
    const hits = outcome === 'hit' || outcome === 'stale' ? weight : 0
    const asked = outcome === 'pass' ? 0 : weight
    const amounts: Readonly<Record<Measure, number>> = { requests: 1, misses: outcome === 'miss' ? 1 : 0, bytes: bodyBytes, originMs: origin?.headMs ?? 0 }
    const add = (of: Subject, name: string): void => {
      for (const by of measures) {
        const amount = amounts[by]
        if (amount > 0) period.lists[of][by].add(name, amount * weight, amount * amount * weight * (weight - 1), hits, asked)
      }
    }
    add('reasons', exchange.notStored ?? exchange.reason)
    if (routed === undefined) return
    add('routes', routed.route.id)
    add('keys', cut(`${routed.request.authority}${this.#parts.mask(exchange.head.url ?? '')}`))
    for (const tag of exchange.tags.slice(0, mostTags)) add('tags', cut(tag))
  }

  #recent(): readonly Period[] {
    const now = Math.floor(this.#parts.clock.now() / periodMs)
    this.#periods = this.#periods.filter(({ number }) => number > now - periods && number <= now)
    return this.#periods
  }

  #current(): Period {
    const number = Math.floor(this.#parts.clock.now() / periodMs)
    const last = this.#periods.at(-1)
    if (last?.number === number) return last
    this.#recent()
    const list = (): Record<Measure, Heaviest> => Object.fromEntries(measures.map(by => [by, new Heaviest(this.#parts.places)])) as Record<Measure, Heaviest>
    const period: Period = { number, sampled: false, lists: Object.fromEntries(subjects.map(of => [of, list()])) as Period['lists'] }
    this.#periods.push(period)
    return period
  }
}

function cut(name: string): string {
  return name.length <= mostNameChars ? name : `${name.slice(0, mostNameChars)}…`
}

/** The lists of several processes as one. */
export function topOf(all: readonly TopData[], limit: number): { readonly windowMs: number; readonly sampledOneIn: number; readonly items: readonly TopItem[] } {
  const total = all.reduce((sum, data) => sum + data.total, 0)
  return {
    windowMs: topWindowMs,
    sampledOneIn: Math.max(1, ...all.map(({ sampledOneIn }) => sampledOneIn)),
    items: mergedHeaviest(all).slice(0, limit).map(({ name, value, over, variance, hits, asked }) => ({
      name,
      value: Math.round(value),
      error: Math.round(over + 2 * Math.sqrt(variance)),
      share: total === 0 ? null : value / total,
      hitRatio: asked === 0 ? null : hits / asked,
    })),
  }
}

/** Returns the list with at most `most` items. */
export function shortened(data: TopData, most: number): TopData {
  const next = data.items[most]
  return next === undefined ? data : { ...data, items: data.items.slice(0, most), floor: Math.max(data.floor, next.value) }
}

/** Returns the list that another process has written; undefined if it is none. */
export function readTop(value: unknown): TopData | undefined {
  if (!isRecord(value)) return undefined
  const { items, floor, total, sampledOneIn } = value
  const isTop = Array.isArray(items) && items.length <= 1024 && items.every(isHeavy) && [floor, total, sampledOneIn].every(isAmount)
  // Safe: checked here.
  return isTop ? value as object as TopData : undefined
}

function isHeavy(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { name, value: amount, over, variance, hits, asked } = value
  return typeof name === 'string' && name.length <= mostNameChars + 1 && [amount, over, variance, hits, asked].every(isAmount)
}
