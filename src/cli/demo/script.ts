// The steps of the demo as data, for the printed curl lines and for the test.
import { itemEtag } from './api.ts'

/** The addresses of the running demo. */
export interface Place {
  readonly proxyUrl: string
  readonly adminUrl: string
  /** The admin API's bearer token. */
  readonly token: string
  readonly backends: readonly { readonly name: string; readonly url: string; readonly pid: number }[]
  /** The file in which curl keeps cookies. */
  readonly cookies: string
}

/** The expected response of a step. */
export interface Expectation {
  readonly status: number
  /** Patterns for field values, by field name. */
  readonly fields?: Readonly<Record<string, RegExp>>
  /** `same`: the body equals the last body of this URL. `new`: it differs. */
  readonly body?: 'same' | 'new'
  /** A pattern for the body. */
  readonly text?: RegExp
}

/** A request, or the same request to several servers. */
export interface RequestStep {
  readonly kind: 'request'
  /** A sentence that describes what the step shows. */
  readonly shows: string
  readonly method: 'GET' | 'POST'
  readonly urls: readonly string[]
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body?: string
  /** The file with the cookies of the client, which a response may change. */
  readonly cookies?: string
  readonly expect: Expectation
}

/** Many requests one after the other, with a process killed in the middle. */
export interface KillStep {
  readonly kind: 'kill'
  readonly shows: string
  readonly url: string
  readonly count: number
  readonly pid: number
  /** The request before which the process is killed. */
  readonly at: number
  /** The expected status of every response. */
  readonly status: number
}

export type Step = RequestStep | KillStep

export interface Chapter {
  readonly title: string
  readonly steps: readonly Step[]
}

const hit = { 'cache-status': /^springhouse; hit;.*detail=fresh$/, 'age': /^\d+$/ }
const miss = { 'cache-status': /^springhouse; fwd=uri-miss; fwd-status=200; stored;/ }

/**
 * Returns the whole demo, to be run in this order: later steps use what earlier steps have stored. No step waits for time to pass:
 * a soft purge makes a stored response stale.
 */
export function script(place: Place): readonly Chapter[] {
  const proxy = (path: string): string => place.proxyUrl + path
  const get = (path: string, shows: string, expect: Expectation, headers: RequestStep['headers'] = []): RequestStep => ({ kind: 'request', shows, method: 'GET',
    urls: [proxy(path)], headers, expect })
  const bearer = ['Authorization', `Bearer ${place.token}`] as const
  const purge = (shows: string, what: object): RequestStep => ({
    kind: 'request',
    shows,
    method: 'POST',
    urls: [`${place.adminUrl}/v1/purge`],
    headers: [bearer, ['Content-Type', 'application/json']],
    body: JSON.stringify(what),
    expect: { status: 200, text: /"live": ?1, ?"acknowledged": ?1/ },
  })
  const asCustomer = (method: RequestStep['method'], path: string, shows: string, expect: Expectation): RequestStep => ({ kind: 'request', shows, method, urls: [proxy(path)],
    headers: [], cookies: place.cookies, expect })
  const toEveryBackend = (path: string, shows: string): RequestStep => ({ kind: 'request', shows, method: 'POST', urls: place.backends.map(({ url }) => url + path), headers: [],
    expect: { status: 200 } })
  const victim = place.backends.at(-1) as Place['backends'][number]

  return [
    {
      title: 'Miss, hit, purge, miss',
      steps: [
        get('/items', 'a miss: a backend responded (X-Served-By names it), and the response is stored for 60 s', { status: 200, fields: miss, body: 'new' }),
        get('/items', 'a hit: Age, and the same generatedAt; no backend got the request', { status: 200, fields: hit, body: 'same' }),
        {
          kind: 'request',
          shows: 'why: what is stored for this URL, and the decision now, with the section of the RFC',
          method: 'GET',
          urls: [`${place.adminUrl}/v1/explain?url=${proxy('/items')}`],
          headers: [bearer],
          expect: { status: 200, text: /"reason": ?"fresh"/ },
        },
        purge('every response with the tag "items" is invalid; every replica (here: one) has acknowledged', { tags: ['items'] }),
        get('/items', 'a miss again, with a new generatedAt', { status: 200, fields: miss, body: 'new' }),
      ],
    },
    {
      title: 'Validators and 304',
      steps: [
        get('/items/1', 'a miss; the response has an ETag', { status: 200, fields: { ...miss, etag: /^"item-1-v1"$/ } }),
        get('/items/1', '304 without a body, from the cache: no backend got the request', { status: 304, fields: { 'cache-status': /^springhouse; hit;/ } }, [['If-None-Match',
          itemEtag(1)]]),
        purge('a soft purge: the stored response stays, but must be revalidated', { urls: ['/items/1'], soft: true }),
        get('/items/1', 'fwd-status=304: the proxy revalidated, and a backend confirmed the stored response without a body', {
          status: 200,
          fields: { 'cache-status': /^springhouse; fwd=stale; fwd-status=304; stored;/ },
          body: 'same',
        }),
      ],
    },
    {
      title: 'stale-while-revalidate: no client waits for a slow backend twice',
      steps: [
        get('/slow', 'takes two seconds', { status: 200, fields: miss, body: 'new' }),
        purge('makes the stored response stale', { tags: ['slow'], soft: true }),
        get('/slow', 'at once, the stale response, while a new one is fetched in the background; two seconds later you would get the new one', {
          status: 200,
          fields: { 'cache-status': /^springhouse; hit;.*detail=stale-while-revalidate$/ },
          body: 'same',
        }),
      ],
    },
    {
      title: 'stale-if-error: backends that fail',
      steps: [
        get('/flaky', 'a miss, stored', { status: 200, fields: miss, body: 'new' }),
        toEveryBackend('/flaky/fail', 'makes both backends return 503 from now on (sent to each backend directly)'),
        purge('makes the stored response stale, so that the proxy must revalidate', { tags: ['flaky'], soft: true }),
        get('/flaky', '200 with the stale response: both backends returned 503', {
          status: 200,
          fields: { 'cache-status': /^springhouse; hit;.*detail=stale-if-error$/ },
          body: 'same',
        }),
        toEveryBackend('/flaky/heal', 'both backends work again'),
      ],
    },
    {
      title: 'Responses that are never served from cache',
      steps: [
        get('/private', 'private, no-store: forwarded every time (detail says why), and each client gets its own response', {
          status: 200,
          fields: { 'cache-status': /^springhouse; fwd=uri-miss; fwd-status=200; detail=no-store$/ },
          text: /"user": ?"alice"/,
        }, [['Authorization', 'Bearer alice']]),
        get('/items', 'stored (by chapter 1, or now)', { status: 200 }),
        {
          kind: 'request',
          shows: 'an unsafe request goes to a backend, and the cache invalidates what it may have changed (RFC 9111 §4.4)',
          method: 'POST',
          urls: [proxy('/items')],
          headers: [['Content-Type', 'application/json']],
          body: '{"name":"whey"}',
          expect: { status: 201, fields: { location: /^\/items\/\d+$/ } },
        },
        get('/items', 'and so it is a miss', { status: 200, fields: miss, body: 'new' }),
      ],
    },
    {
      title: 'Sessions: the proxy keeps the state, the backends keep none',
      steps: [
        asCustomer('POST', '/basket/apples', 'an apple for the basket of a visitor: the response begins a session, and curl keeps its cookie', {
          status: 204,
          fields: { 'set-cookie': /^__Host-session=shs1/ },
        }),
        asCustomer('POST', '/login/zoe', 'a log-in: the cookie is a new one, and the basket is kept', { status: 204, fields: { 'set-cookie': /^__Host-session=shs1/ } }),
        asCustomer('POST', '/basket/apples', 'another apple, at whichever backend', { status: 204 }),
        asCustomer('GET', '/basket', 'user and basket, from a signed field of the request; detail=identity: it is not shared with others', {
          status: 200,
          fields: { 'cache-status': /detail=identity$/ },
          text: /"user": ?"zoe",.*"apples": ?2\b/,
        }),
        get('/basket', 'a client that makes up such a field is nobody: the proxy removes it', { status: 200, text: /"user": ?null/ }, [['Springhouse-Session', 'zoe']]),
      ],
    },
    {
      title: 'A backend dies',
      steps: [
        {
          kind: 'kill',
          url: proxy('/private'),
          count: 200,
          at: 50,
          pid: victim.pid,
          status: 200,
          shows: `kill -9 for backend ${victim.name} in the middle of 200 requests that cannot be cached: "200 200", none is lost`,
        },
        asCustomer('GET', '/basket', 'the basket is still there', { status: 200, text: /"user": ?"zoe",.*"apples": ?2\b/ }),
        asCustomer('POST', '/logout', 'a log-out: the session ends everywhere, and the cookie is taken back', { status: 204, fields: { 'set-cookie': /Max-Age=0/ } }),
        asCustomer('GET', '/basket', 'nobody, and an empty basket', { status: 200, text: /"user": ?null,.*"basket": ?\{\}/ }),
      ],
    },
  ]
}

/** Returns a step as a shell line that can be pasted. */
export function shellLine(step: Step): string {
  if (step.kind === 'kill') {
    const curl = `curl -s -o /dev/null -w '%{http_code}\\n' ${step.url}`
    return `for i in $(seq ${step.count}); do [ $i = ${step.at} ] && kill -9 ${step.pid}; ${curl}; done | sort | uniq -c`
  }
  const parts = ['curl -i']
  if (step.cookies !== undefined) parts.push(`-b ${step.cookies} -c ${step.cookies}`)
  if (step.method !== 'GET') parts.push(`-X ${step.method}`)
  for (const [name, value] of step.headers) parts.push(`-H ${quoted(`${name}: ${value}`)}`)
  if (step.body !== undefined) parts.push(`-d ${quoted(step.body)}`)
  parts.push(...step.urls.map((url) => (/[?&]/.test(url) ? quoted(url) : url)))
  return parts.join(' ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
