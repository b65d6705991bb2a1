// A single purge: its replicas, as JSON and as an event stream, and the bounds of event streams.
import { request } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import tap from 'tap'
import type { Acknowledgements } from '../../src/store/purge/log.ts'
import { eventually } from '../support/log.ts'
import { listen, overLog, purger, reader, T0, type Listener } from './support.ts'

interface Followed {
  readonly status: number
  readonly type: string | undefined
  text: string
  ended: boolean
  leave(): void
}

/** Opens an event stream, and collects its text. */
function follow({ port }: Listener, path: string, token = reader): Promise<Followed> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers: { accept: 'text/event-stream', authorization: `Bearer ${token}` }, agent: false }, response => {
      const followed: Followed = { status: response.statusCode ?? 0, type: response.headers['content-type'], text: '', ended: false, leave: () => void sent.destroy() }
      response.setEncoding('utf8').on('data', (chunk: string) => {
        followed.text += chunk
      })
      response.on('error', () => undefined).on('close', () => {
        followed.ended = true
      })
      resolve(followed)
    })
    sent.on('error', reject)
    sent.end()
  })
}

const events = ({ text }: Followed): [string, unknown][] => [...text.matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(([, name = '', data = '']) => [name, JSON.parse(data)])

tap.test('a purge is shown with the token that requested it, its cause, and its replicas', async t => {
  const { ask, purge } = await listen(t)
  const { id } = (await purge({ tags: ['red'], soft: true })).json() as { id: string }
  const one = { id, atMs: T0, by: 'deploy', cause: 'api', soft: true, all: false, urls: [], prefixes: [], tags: ['red'], tagsMatch: 'any' }
  t.same((await ask('/v1/purges')).json(), { purges: [one] })
  t.same((await ask(`/v1/purges/${id}`)).json(), { ...one, replicas: { live: 1, acknowledged: 1, list: [{ id: 'local', acknowledged: true, lagMs: null }] } })
  for (const unknown of ['0', '0.1', '9'.repeat(16)]) t.equal((await ask(`/v1/purges/${unknown}`)).status, 404, unknown)
  t.equal((await ask('/v1/purges/UPPER')).status, 400)
  t.match((await ask(`/v1/purges/${id}?wait=1`)).json(), { status: 400, errors: [{ path: 'wait' }] })
})

tap.test('a token that may only purge may follow its purge; one for sessions may not', async t => {
  const { ask, purge } = await listen(t, () => ({ tokens: [{ name: 'p', token: purger, scopes: ['purge'] }, { name: 's', token: reader, scopes: ['sessions'] }] }))
  const { id } = (await purge({ all: true })).json() as { id: string }
  t.equal((await ask(`/v1/purges/${id}`, { token: purger })).status, 200)
  t.match((await ask(`/v1/purges/${id}`, { token: reader })).json(), { status: 403, scope: 'read' })
  t.equal((await ask(`/v1/purges/${id}`, { token: null })).status, 401)
})

// The guard: `told` in admin/purges.ts.
tap.test('each acknowledgement is an event as it comes, once, and then the stream says that it is done', async t => {
  let seen: ((now: Acknowledgements) => void) | undefined
  let finish: (() => void) | undefined
  const waits: number[] = []
  const house = await listen(t, ({ purgeLog }) => ({
    purgeLog: overLog(purgeLog, {
      follow: (_id, waitMs, each) =>
        new Promise(resolve => {
          waits.push(waitMs)
          seen = each
          finish = () => resolve({ copied: true })
        }),
    }),
  }))
  const { id } = (await house.purge({ all: true })).json() as { id: string }
  const stream = await follow(house, `/v1/purges/${id}?waitMs=5000`)
  t.match(stream, { status: 200, type: 'text/event-stream' })
  const now = (...acknowledged: string[]): Acknowledgements => ({ live: 3, acknowledged: acknowledged.length,
    replicas: ['a', 'b', 'c'].map(each => ({ id: each, acknowledged: acknowledged.includes(each) })) })
  seen?.(now())
  seen?.(now('a'))
  await eventually(() => events(stream).length === 1)
  seen?.(now('a'))
  seen?.(now('a', 'c'))
  await eventually(() => events(stream).length === 2)
  t.notOk(stream.ended)
  finish?.()
  await eventually(() => stream.ended)
  t.same(events(stream), [
    ['ack', { replica: 'a', live: 3, acknowledged: 1 }],
    ['ack', { replica: 'c', live: 3, acknowledged: 2 }],
    ['done', { live: 3, acknowledged: 2, copied: true }],
  ])
  t.same(waits, [5_000])
})

// The guards: `mostStreams`, and `delete` when a stream closes, in admin/event-streams.ts.
tap.test('fifty streams are open at most, and a reader that leaves makes room', async t => {
  const signals: AbortSignal[] = []
  const house = await listen(t, ({ purgeLog }) => ({
    purgeLog: overLog(purgeLog, {
      follow: (_id, _waitMs, _seen, signal) =>
        new Promise(resolve => {
          signals.push(signal)
          signal.addEventListener('abort', () => resolve({ copied: false }))
        }),
    }),
  }))
  const { id } = (await house.purge({ all: true })).json() as { id: string }
  const open = await Promise.all(Array.from({ length: 50 }, () => follow(house, `/v1/purges/${id}`)))
  t.same(open.map(({ status }) => status), open.map(() => 200))
  const refused = await follow(house, `/v1/purges/${id}`)
  await eventually(() => refused.ended)
  t.match([refused.status, refused.text], [503, /TOO_MANY_STREAMS/])
  open[0]?.leave()
  await eventually(() => signals.some(({ aborted }) => aborted))
  await setImmediate()
  t.equal((await follow(house, `/v1/purges/${id}`)).status, 200)
  t.equal((await house.ask('/v1/stats')).status, 200, 'other endpoints go on')
  // The listener closes at the end of the test: the streams must not hold it up.
})

tap.test('a purge that another replica has just recorded is waited for', async t => {
  let applied = '0000000000000000'
  const house = await listen(t, ({ purgeLog }) => ({
    purgeLog: Object.defineProperty({ ...overLog(purgeLog, {}),
      find: (id: string) => (applied >= id ? { id, atMs: T0, purge: { urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: true, soft: false } } : undefined) }, 'applied', {
      get: () => applied,
    }),
  }))
  const asked = house.ask('/v1/purges/0000000000000001')
  await setImmediate()
  applied = '0000000000000001'
  t.equal((await asked).status, 200)
})
