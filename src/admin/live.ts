// GET /v1/live: the numbers of each second and what changes, as an event stream. Everything is read once a second for all watchers.
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from '../json-schema.ts'
import type { PurgeRecord } from '../store/purge/log.ts'
import { degraded } from './degraded.ts'
import type { EventStream, EventStreams } from './event-streams.ts'
import { scopeParameter, scopes, type Scope } from './response-schemas.ts'
import type { AdminParts } from './parts.ts'

const everyMs = 1_000
const mostPurges = 20
/** Rates are of so many seconds. */
const rateTicks = 5

/** The bodies of other endpoints. */
export interface LiveSources {
  stats(scope: Scope): Promise<Readonly<Record<string, unknown>>>
  replicas(): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Makes replicas report each second for a while. */
  watch(): void
}

const liveQuery = Type.Object({ scope: scopeParameter }, { additionalProperties: false })
const liveSchema = {
  description:
    'Events: `stats` each second, with `atMs`, `requestsPerSecond` and members of GET /v1/stats; `purge`, `replica`, `origin` and `degraded` when something has changed; `dropped` with `count`, if the reader is slow.',
  content: { 'text/event-stream': { schema: Type.String() } },
}

export function liveRoute(app: FastifyInstance, parts: AdminParts, sources: LiveSources, streams: EventStreams): void {
  const hubs = Object.fromEntries(scopes.map(scope => [scope, new LiveHub(parts, sources, scope)])) as Record<Scope, LiveHub>
  app.get<{ Querystring: Static<typeof liveQuery> }>('/v1/live', { config: { scope: 'read' }, schema: { querystring: liveQuery, response: { 200: liveSchema } } },
    async (request, reply) => {
      const stream = streams.begin(request, reply)
      hubs[request.query.scope ?? 'replica'].add(stream)
      return reply
    })
}

type Row = Readonly<Record<string, unknown>>

/** The watchers of one scope. Without any, nothing is read. */
class LiveHub {
  readonly #parts: AdminParts
  readonly #sources: LiveSources
  readonly #scope: Scope
  readonly #streams = new Set<EventStream>()
  readonly #rates: { readonly atMs: number; readonly requests: number }[] = []
  #timer: NodeJS.Timeout | undefined
  #isReading = false
  #lastPurge: string | undefined
  #replicas: ReadonlyMap<string, unknown> | undefined
  #origins: ReadonlyMap<string, Row> | undefined
  #degraded: string | undefined

  constructor(parts: AdminParts, sources: LiveSources, scope: Scope) {
    this.#parts = parts
    this.#sources = sources
    this.#scope = scope
  }

  add(stream: EventStream): void {
    this.#streams.add(stream)
    stream.signal.addEventListener('abort', () => {
      this.#streams.delete(stream)
      if (this.#streams.size === 0) this.#stop()
    })
    this.#timer ??= setInterval(() => void this.#tick(), everyMs).unref()
    void this.#tick()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#rates.length = 0
    this.#lastPurge =
      this.#replicas =
      this.#origins =
      this.#degraded =
        undefined
  }

  // Never rejects: what cannot be read is missing for this second.
  async #tick(): Promise<void> {
    // A second that takes longer is one, not several at once.
    if (this.#isReading) return
    this.#isReading = true
    try {
      if (this.#scope === 'fleet') this.#sources.watch()
      const [stats, replicas] = await Promise.all([this.#sources.stats(this.#scope), this.#sources.replicas().catch(() => undefined)])
      if (this.#timer === undefined) return
      this.#sendStats(stats)
      this.#sendPurges()
      if (replicas !== undefined) this.#sendReplicas(replicas)
      this.#sendOrigins()
      this.#sendDegraded()
    } catch {
      /* see above */
    } finally {
      this.#isReading = false
    }
  }

  #send(event: string, data: unknown): void {
    const text = JSON.stringify(data)
    for (const stream of this.#streams) stream.sendJson(event, text)
  }

  #sendStats({ scope, replicas, requests, outcomes, hitRatio, savedOriginMs, bytes, latencyMs }: Row): void {
    const atMs = this.#parts.clock.monotonic()
    const [oldest] = this.#rates
    const passedMs = oldest === undefined ? 0 : atMs - oldest.atMs
    const requestsPerSecond = oldest === undefined || passedMs <= 0 ? null : Math.max(0, Math.round((Number(requests) - oldest.requests) * 10_000 / passedMs) / 10)
    this.#rates.push({ atMs, requests: Number(requests) })
    if (this.#rates.length > rateTicks) this.#rates.shift()
    this.#send('stats', { atMs: Math.round(this.#parts.clock.now()), scope, replicas, requests, requestsPerSecond, outcomes, hitRatio, savedOriginMs, bytes, latencyMs })
  }

  #sendPurges(): void {
    const recent = this.#parts.purgeLog.recent(mostPurges)
    const before = this.#lastPurge
    this.#lastPurge = recent[0]?.id ?? ''
    if (before === undefined) return
    const known = recent.findIndex(({ id }) => id === before)
    for (const record of recent.slice(0, known < 0 ? recent.length : known).toReversed()) this.#send('purge', shownPurge(record))
  }

  #sendReplicas(rows: readonly Row[]): void {
    const before = this.#replicas
    const now = new Map(rows.map(({ id, state }) => [String(id), state]))
    this.#replicas = now
    if (before === undefined) return
    for (const [id, state] of now) if (state !== before.get(id)) this.#send('replica', { id, state, was: before.get(id) ?? null })
    for (const [id, was] of before) if (!now.has(id)) this.#send('replica', { id, state: null, was })
  }

  #sendOrigins(): void {
    const before = this.#origins
    const rows = this.#parts.origins.status().map(({ origin, url, address, healthy }) => ({ origin, url, ...(address !== undefined && { address }), healthy }))
    const now = new Map(rows.map(row => [`${row.origin} ${row.url} ${row.address ?? ''}`, row]))
    this.#origins = now
    if (before !== undefined) { for (const [name, row] of now) if (before.get(name)?.['healthy'] !== row.healthy) this.#send('origin', row) }
  }

  #sendDegraded(): void {
    const parts = degraded(this.#parts)
    const text = parts.join(' ')
    if (this.#degraded !== undefined && this.#degraded !== text) this.#send('degraded', { degraded: parts })
    this.#degraded = text
  }
}

/** A purge in counts: it may name thousands. GET /v1/purges has the whole. */
function shownPurge({ id, atMs, purge: { soft, all, urls, prefixes, tags } }: PurgeRecord): Row {
  return { id, atMs, soft, all, urls: urls.length, prefixes: prefixes.length, tags: tags.length }
}
