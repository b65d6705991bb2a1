// Values for the policy tests: a request, a response, rules, and a fixed moment.
import { formatHttpDate } from '../../src/http/date.ts'
import { fieldLines, fieldValue, type FieldLines } from '../../src/http/fields.ts'
import { CacheRequest, scanFields } from '../../src/policy/request.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { compileTags, type Rules } from '../../src/policy/rules.ts'
import { assessResponse, type Storability } from '../../src/policy/storable.ts'
import type { Metadata } from '../../src/policy/stored.ts'
import type { RequestField } from '../../src/policy/vary.ts'

/** 2026-01-01T00:00:00Z: the moment at which every response of these tests arrives. */
export const T0 = 1_767_225_600_000
export const dateT0 = formatHttpDate(T0)

/** The settings for tags that a configuration has if it says nothing. */
export const defaultTags = resolveConfig({ origins: { api: { servers: ['http://127.0.0.1:1'] } } }).cache.tags

export const defaultRules: Rules = {
  enabled: true,
  ambiguous: false,
  defaultTtlMs: undefined,
  statusTtlMs: new Map(),
  heuristicTtlMs: 300_000,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: undefined,
  staleIfSlowMs: undefined,
  maxTtlMs: 365 * 86_400_000,
  keepStaleMs: 3_600_000,
  cookies: 'private',
  setCookie: 'skip',
  rangeFetch: 'part',
  maxEntryBytes: 1_000_000,
  tags: compileTags(defaultTags),
}

/** `{ 'Cache-Control': 'max-age=60' }`, several lines as an array. */
export type Fields = Readonly<Record<string, string | readonly string[]>>

export function lines(fields: Fields): FieldLines {
  return fieldLines(Object.entries(fields).flatMap(([name, value]) => [value].flat().flatMap(line => [name, line])))
}

export function request(fields: Fields = {}, line: { method?: string; target?: string; authority?: string } = {}): CacheRequest & { requestField: RequestField } {
  const raw = lines({ host: 'api.example.com', ...fields })
  const made = new CacheRequest(scanFields(raw), { method: line.method ?? 'GET', scheme: 'http', authority: line.authority ?? 'api.example.com', target: line.target ?? '/a' })
  return Object.assign(made, { requestField: (name: string) => fieldValue(raw, name) })
}

/** Assesses a response that took no time and arrived at T0, with Date T0 unless its fields have another. */
export function assess(response: Fields, options: { request?: Fields; method?: string; status?: number; rules?: Partial<Rules>; delayMs?: number } = {}): Storability {
  const asked = request(options.request, options.method === undefined ? {} : { method: options.method })
  const fields = lines('Date' in response ? response : { Date: dateT0, ...response })
  const head = { status: options.status ?? 200, fields, requestTimeMs: T0 - (options.delayMs ?? 0), responseTimeMs: T0, stamp: 's1' }
  return assessResponse(asked, asked.requestField, head, { ...defaultRules, ...options.rules })
}

/** The metadata of a response that must be storable. */
export function stored(response: Fields, options: Parameters<typeof assess>[1] = {}): { readonly meta: Metadata } {
  const verdict = assess(response, options)
  if (!verdict.store) throw new Error(`not storable: ${verdict.reason}`)
  return { meta: verdict.meta }
}
