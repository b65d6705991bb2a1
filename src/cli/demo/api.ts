// A small stateless API for the demo. Its responses name the server and the time.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Clock } from '../../clock.ts'
import { listMembers } from '../../http/fields.ts'
import { basket, isBasket } from './basket.ts'
import type { ReadSession } from './session-field.ts'

/** The number of items of `/items/N`. */
export const itemCount = 100
/** How long `/slow` takes. */
export const slowMs = 2000
const eventIntervalMs = 1000

const kinds = ['milk', 'butter', 'cheese', 'cream', 'cider']

interface Item {
  readonly id: number
  readonly name: string
  readonly cents: number
}

// Items derive from their number alone, so that every server can validate another server's response.
function itemOf(id: number): Item {
  return { id, name: `${kinds[id % kinds.length]} no. ${id}`, cents: 100 + ((id * 37) % 900) }
}

/** Returns the entity-tag of an item: strong, and the same on every server. */
export function itemEtag(id: number): string {
  return `"item-${id}-v1"`
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Path segments after the route's own: `['7']` for `/items/7`. */
  readonly rest: readonly string[]
  /** Sends JSON, with the server's name and the time. */
  readonly send: (status: number, fields: Readonly<Record<string, string>>, value: object | undefined) => void
}

type Handler = (exchange: Exchange) => void

/**
 * The listener for one demo server.
 *
 * | | |
 * |---|---|
 * | `GET /items` | a list: `max-age=60`, tag `items` |
 * | `POST /items` | unsafe: a cache invalidates `/items` and the URL in Location (RFC 9111 §4.4); the server stores nothing |
 * | `GET /items/1`…`/items/100` | one item: `max-age=60`, strong ETag, 304 to a matching If-None-Match, tags `items`, `item-1` |
 * | `GET /slow` | takes two seconds: `max-age=10, stale-while-revalidate=30`, tag `slow` |
 * | `GET /flaky` | `max-age=1, stale-if-error=60`, tag `flaky`; 503 between `POST /flaky/fail` and `POST /flaky/heal` |
 * | `GET /tagged/a/b` | `max-age=60`, its path's segments as tags |
 * | `GET /private` | `private, no-store`: the user in Authorization |
 * | `GET /basket`, `POST /basket/apples`, `POST /login/zoe`, `POST /logout` | a session, which the proxy keeps (basket.ts) |
 * | `GET /events` | server-sent events, one per second, without end |
 * | `GET /healthz` | 200 |
 *
 * The only state is whether `/flaky` fails. It is a switch for demonstrations, not state of the API. Each server has its own
 * switch, so set it on every server.
 * @param options.readSession undefined: no request has a session
 */
export function demoApi(options: { readonly name: string; readonly clock: Clock; readonly readSession?: ReadSession }): RequestListener {
  const { name, clock, readSession } = options
  let failing = false

  const stamp = (): { servedBy: string; generatedAt: string } => ({ servedBy: name, generatedAt: new Date(clock.now()).toISOString() })

  const routes: Readonly<Record<string, Handler>> = {
    'GET items': ({ rest, request, send }) => {
      if (rest.length > 0) {
        sendItem(rest, request, send)
        return
      }
      const items = Array.from({ length: 10 }, (_, index) => itemOf(index + 1))
      send(200, { 'cache-control': 'max-age=60', 'cache-tag': 'items' }, { items, ...stamp() })
    },
    'POST items': ({ rest, send }) => {
      if (rest.length > 0) send(404, {}, { error: 'not found' })
      else send(201, { location: `/items/${itemCount}`, 'cache-control': 'no-store' }, { id: itemCount, ...stamp() })
    },
    // The lifetime counts from the request (RFC 9111 §4.2.3), so two seconds of it are over when the response arrives.
    'GET slow': ({ response, send }) => {
      const timer = setTimeout(() => {
        send(200, { 'cache-control': 'max-age=10, stale-while-revalidate=30', 'cache-tag': 'slow' }, { tookMs: slowMs, ...stamp() })
      }, slowMs)
      response.once('close', () => clearTimeout(timer))
    },
    'GET flaky': ({ send }) => {
      if (failing) send(503, { 'cache-control': 'no-store' }, { error: 'out of order, by request', ...stamp() })
      else send(200, { 'cache-control': 'max-age=1, stale-if-error=60', 'cache-tag': 'flaky' }, { order: 'good', ...stamp() })
    },
    'POST flaky': ({ rest, send }) => {
      if (rest[0] !== 'fail' && rest[0] !== 'heal') {
        send(404, {}, { error: 'not found' })
        return
      }
      failing = rest[0] === 'fail'
      send(200, { 'cache-control': 'no-store' }, { failing, servedBy: name })
    },
    'GET tagged': ({ rest, send }) => {
      const tags: Record<string, string> = rest.length === 0 ? {} : { 'cache-tag': rest.join(', ') }
      send(200, { 'cache-control': 'max-age=60', ...tags }, { tags: rest, ...stamp() })
    },
    'GET private': ({ request, send }) => {
      const user = request.headers.authorization?.replace(/^Bearer /i, '') ?? 'nobody'
      send(200, { 'cache-control': 'private, no-store' }, { user, ...stamp() })
    },
    'GET events': ({ request, response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-served-by': name })
      if (request.method === 'HEAD') {
        response.end()
        return
      }
      let id = 0
      const tick = (): void => {
        response.write(`id: ${++id}\ndata: ${JSON.stringify(stamp())}\n\n`)
      }
      tick()
      const timer = setInterval(tick, eventIntervalMs)
      response.once('close', () => clearInterval(timer))
    },
    'GET healthz': ({ send }) => send(200, { 'cache-control': 'no-store' }, { ok: true, servedBy: name }),
  }

  return (request, response) => {
    request.resume() // Discards the body: an unread body would block the connection.
    const send: Exchange['send'] = (status, fields, value) => {
      const head: Record<string, string> = { ...fields, 'x-served-by': name, 'x-generated-at': stamp().generatedAt }
      if (value === undefined) {
        response.writeHead(status, head).end()
        return
      }
      const body = `${JSON.stringify(value)}\n`
      head['content-type'] = 'application/json'
      head['content-length'] = String(Buffer.byteLength(body))
      response.writeHead(status, head).end(body)
    }
    const [first = '', ...rest] = pathSegments(request.url ?? '/')
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET')
    if (isBasket(`${method} ${first}`)) {
      void basket(`${method} ${first}`, rest, request.headers['springhouse-session'] as string | undefined, readSession)
        .then(({ status, fields, value }) => send(status, fields, value))
      return
    }
    const handler = routes[`${method} ${first}`]
    if (handler !== undefined) handler({ request, response, rest, send })
    else if (`GET ${first}` in routes) send(405, { allow: `POST ${first}` in routes ? 'GET, HEAD, POST' : 'GET, HEAD' }, { error: 'method not allowed' })
    else send(404, {}, { error: 'not found' })
  }
}

// The body contains neither time nor server: a strong entity-tag promises the same bytes from every server (RFC 9110 §8.8.1).
// X-Generated-At gives the time, and a 304 brings a new one.
function sendItem(rest: readonly string[], request: IncomingMessage, send: Exchange['send']): void {
  const id = /^[1-9]\d{0,3}$/.test(rest[0] ?? '') ? Number(rest[0]) : 0
  if (id < 1 || id > itemCount || rest.length > 1) {
    send(404, { 'cache-tag': 'items' }, { error: 'no such item' })
    return
  }
  const etag = itemEtag(id)
  const fields = { 'cache-control': 'max-age=60', 'cache-tag': `items, item-${id}`, etag }
  if (matches(request.headers['if-none-match'], etag)) send(304, fields, undefined)
  else send(200, fields, itemOf(id))
}

/** Returns whether If-None-Match matches: `*`, or a member with the same opaque-tag (weak comparison, RFC 9110 §13.1.2). */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.trim() === '*' || listMembers(ifNoneMatch).some((member) => member.replace(/^W\//, '') === etag)
}

function pathSegments(target: string): string[] {
  const path = target.split('?', 1)[0] as string
  return path.split('/').filter((segment) => segment !== '')
}
