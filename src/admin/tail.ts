// GET /v1/tail: requests as they end, as an event stream.
import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { requestOutcomes } from '../exchange/client/outcome.ts'
import { Type, type Static } from '../json-schema.ts'
import { notStoredReasons, requestReasons } from '../policy/reasons.ts'
import type { TailFilter } from '../observe/tail.ts'
import type { EventStream, EventStreams } from './event-streams.ts'
import { notObserved, type Gathered } from './gathered.ts'
import type { AdminParts } from './parts.ts'

// Over several workers the requests are collected so often.
const pollMs = 250
const mostLimit = 100_000

const tailQuery = Type.Object({
  outcome: Type.Optional(Type.Enum([...requestOutcomes])),
  reason: Type.Optional(Type.Enum([...requestReasons])),
  route: Type.Optional(Type.String({ maxLength: 512, description: 'As GET /v1/routes names it.' })),
  host: Type.Optional(Type.String({ maxLength: 260 })),
  path: Type.Optional(Type.String({ maxLength: 2_048, pattern: '^/', 'x-expects': 'must begin with /', description: 'The beginning of the target, as the log shows it.' })),
  method: Type.Optional(Type.String({ pattern: '^[A-Za-z-]{1,32}$', description: 'In any case.' })),
  status: Type.Optional(Type.String({ pattern: '^[1-5](?:[0-9]{2}|xx)$', description: 'A status, or a class such as 5xx.' })),
  minMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000, description: 'Requests that took so long or longer.' })),
  notStored: Type.Optional(Type.Enum([...notStoredReasons])),
  sample: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'One request in so many, at random.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: mostLimit, description: 'Ends the stream after so many requests.' })),
}, { additionalProperties: false })

const tailSchema = {
  description: 'Events: `request` with the fields of a line of the access log; `dropped` with `count`: requests that were not sent.',
  content: { 'text/event-stream': { schema: Type.String() } },
}

export function tailRoute(app: FastifyInstance, parts: AdminParts, gathered: Gathered, streams: EventStreams): void {
  app.get<{ Querystring: Static<typeof tailQuery> }>('/v1/tail', { config: { scope: 'read' }, schema: { querystring: tailQuery, response: { 200: tailSchema } } },
    async (request, reply) => {
      const { tail } = parts
      if (tail === undefined) throw notObserved()
      const { limit = Infinity, method, host, ...rest } = request.query
      const filter: TailFilter = { ...rest, ...(method !== undefined && { method: method.toUpperCase() }), ...(host !== undefined && { host: host.toLowerCase() }) }
      const stream = streams.begin(request, reply)
      const show = shower(stream, limit)
      const stop = parts.workers === undefined
        ? tail.watch(filter, { take: show, drop: () => stream.drop(1) })
        : collecting(gathered, filter, show, count => stream.drop(count))
      stream.signal.addEventListener('abort', stop)
      return reply
    })
}

/** Returns a function that sends requests, and ends the stream after `limit` of them. */
function shower(stream: EventStream, limit: number): (line: string) => void {
  let left = limit
  return (line) => {
    if (left <= 0) return
    stream.sendJson('request', line)
    if (--left <= 0) stream.end()
  }
}

/** Collects the requests of all workers. Returns the function that stops it. */
function collecting(gathered: Gathered, filter: TailFilter, show: (line: string) => void, drop: (count: number) => void): () => void {
  const id = randomBytes(9).toString('base64url')
  let isOver = false
  const poll = async (): Promise<void> => {
    const batches = await gathered.tail({ id, filter })
    if (isOver) return
    for (const { lines, dropped } of batches) {
      for (const line of lines) show(line)
      if (dropped > 0) drop(dropped)
    }
    setTimeout(() => void poll(), pollMs).unref()
  }
  void poll()
  return () => {
    isOver = true
  }
}
