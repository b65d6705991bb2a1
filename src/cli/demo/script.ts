// What there is to try, as data: the printed curl lines and the test's requests both come from here.
import { itemEtag } from './api.ts'

/** Where everything runs. */
export interface Place {
  readonly proxyUrl: string
  readonly adminUrl: string
  /** The admin API's bearer token. */
  readonly token: string
  readonly backends: readonly { readonly name: string; readonly url: string; readonly pid: number }[]
}

/** What an answer must be for a step to show what it says. */
export interface Expectation {
  readonly status: number
  /** Field name to what its value must match. */
  readonly fields?: Readonly<Record<string, RegExp>>
  /** Whether the body is the one that this URL gave last (nobody made a new one), or a new one. */
  readonly body?: 'same' | 'new'
  /** What the body must match. */
  readonly text?: RegExp
}

/** One request, or the same one to several servers. */
export interface RequestStep {
  readonly kind: 'request'
  /** What to see, in one sentence. */
  readonly shows: string
  readonly method: 'GET' | 'POST'
  readonly urls: readonly string[]
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body?: string
  readonly expect: Expectation
}

/** Many requests one after the other, and a process killed in their midst. */
export interface KillStep {
  readonly kind: 'kill'
  readonly shows: string
  readonly url: string
  readonly count: number
  readonly pid: number
  /** Before which request it is killed. */
  readonly at: number
  /** The status that every answer must have. */
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
 * The whole demonstration, to be run in this order: later steps build on what earlier ones have stored. Nothing waits
 * for time to pass: where a copy must be stale, a soft purge makes it so.
 */
export function script(place: Place): readonly Chapter[] {
  const proxy = (path: string): string => place.proxyUrl + path
  const get = (path: string, shows: string, expect: Expectation, headers: RequestStep['headers'] = []): RequestStep =>
    ({ kind: 'request', shows, method: 'GET', urls: [proxy(path)], headers, expect })
  const bearer = ['Authorization', `Bearer ${place.token}`] as const
  const purge = (shows: string, what: object): RequestStep => ({
    kind: 'request', shows, method: 'POST', urls: [`${place.adminUrl}/v1/purge`],
    headers: [bearer, ['Content-Type', 'application/json']], body: JSON.stringify(what),
    expect: { status: 200, text: /"live": ?1, ?"acknowledged": ?1/ },
  })
  const toEveryBackend = (path: string, shows: string): RequestStep =>
    ({ kind: 'request', shows, method: 'POST', urls: place.backends.map(({ url }) => url + path), headers: [], expect: { status: 200 } })
  const victim = place.backends.at(-1) as Place['backends'][number]

  return [
    {
      title: 'Miss, hit, purge, miss',
      steps: [
        get('/items', 'a miss: a backend made it (X-Served-By says which), and it is stored for 60 s', { status: 200, fields: miss, body: 'new' }),
        get('/items', 'a hit: Age, and the same generatedAt; no backend was asked', { status: 200, fields: hit, body: 'same' }),
        {
          kind: 'request', shows: 'why: what is stored for this URL, and what would be decided now, with the section of the RFC',
          method: 'GET', urls: [`${place.adminUrl}/v1/explain?url=${proxy('/items')}`], headers: [bearer],
          expect: { status: 200, text: /"reason": ?"fresh"/ },
        },
        purge('everything that carries the tag "items" is gone; every replica (here: one) has acknowledged it', { tags: ['items'] }),
        get('/items', 'a miss again, with a new generatedAt', { status: 200, fields: miss, body: 'new' }),
      ],
    },
    {
      title: 'Validators and 304',
      steps: [
        get('/items/1', 'a miss; the answer has an ETag', { status: 200, fields: { ...miss, etag: /^"item-1-v1"$/ } }),
        get('/items/1', '304 without a body, out of the cache: no backend was asked', { status: 304, fields: { 'cache-status': /^springhouse; hit;/ } }, [['If-None-Match', itemEtag(1)]]),
        purge('a soft purge: the copy stays, but it must not be used unasked', { urls: ['/items/1'], soft: true }),
        get('/items/1', 'fwd-status=304: a backend was asked whether the copy is still good, and only said yes', {
          status: 200, fields: { 'cache-status': /^springhouse; fwd=stale; fwd-status=304; stored;/ }, body: 'same',
        }),
      ],
    },
    {
      title: 'stale-while-revalidate: nobody waits for a slow backend twice',
      steps: [
        get('/slow', 'takes two seconds', { status: 200, fields: miss, body: 'new' }),
        purge('makes the copy stale', { tags: ['slow'], soft: true }),
        get('/slow', 'at once, from the stale copy, while a new one is fetched behind it; two seconds later you would get that one', {
          status: 200, fields: { 'cache-status': /^springhouse; hit;.*detail=stale-while-revalidate$/ }, body: 'same',
        }),
      ],
    },
    {
      title: 'stale-if-error: backends that fail',
      steps: [
        get('/flaky', 'a miss, stored', { status: 200, fields: miss, body: 'new' }),
        toEveryBackend('/flaky/fail', 'tells both backends themselves to answer 503 there from now on'),
        purge('makes the copy stale, so that the proxy has to ask', { tags: ['flaky'], soft: true }),
        get('/flaky', '200 from the stale copy: both backends said 503', {
          status: 200, fields: { 'cache-status': /^springhouse; hit;.*detail=stale-if-error$/ }, body: 'same',
        }),
        toEveryBackend('/flaky/heal', 'all is well again'),
      ],
    },
    {
      title: 'What is never served from cache',
      steps: [
        get('/private', 'private, no-store: asked for anew every time (detail says why), and each caller sees their own', {
          status: 200, fields: { 'cache-status': /^springhouse; fwd=uri-miss; fwd-status=200; detail=no-store$/ }, text: /"user": ?"alice"/,
        }, [['Authorization', 'Bearer alice']]),
        get('/items', 'stored (by chapter 1, or now)', { status: 200 }),
        {
          kind: 'request', shows: 'an unsafe request goes to a backend, and the cache forgets what it may have changed (RFC 9111 §4.4)',
          method: 'POST', urls: [proxy('/items')], headers: [['Content-Type', 'application/json']], body: '{"name":"whey"}',
          expect: { status: 201, fields: { location: /^\/items\/\d+$/ } },
        },
        get('/items', 'and so it is a miss', { status: 200, fields: miss, body: 'new' }),
      ],
    },
    {
      title: 'A backend dies',
      steps: [{
        kind: 'kill', url: proxy('/private'), count: 200, at: 50, pid: victim.pid, status: 200,
        shows: `kill -9 for backend ${victim.name} in the midst of 200 requests that no cache can answer: "200 200", not one is lost`,
      }],
    },
  ]
}

/** A step as a line for a shell: works as it is when pasted. */
export function shellLine(step: Step): string {
  if (step.kind === 'kill') {
    const curl = `curl -s -o /dev/null -w '%{http_code}\\n' ${step.url}`
    return `for i in $(seq ${step.count}); do [ $i = ${step.at} ] && kill -9 ${step.pid}; ${curl}; done | sort | uniq -c`
  }
  const parts = ['curl -i']
  if (step.method !== 'GET') parts.push(`-X ${step.method}`)
  for (const [name, value] of step.headers) parts.push(`-H ${quoted(`${name}: ${value}`)}`)
  if (step.body !== undefined) parts.push(`-d ${quoted(step.body)}`)
  parts.push(...step.urls.map((url) => (/[?&]/.test(url) ? quoted(url) : url)))
  return parts.join(' ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
