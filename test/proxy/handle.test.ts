import tap from 'tap'
import { ask, rawRequest } from '../support/client.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { sendHead } from '../../src/exchange/client/sending.ts'
import { handled } from '../../src/exchange/handle.ts'
import { passFor, startProxyAlone } from './proxy-under-test.ts'
import type { RequestContext } from '../../src/forwarding/request-context.ts'

tap.test("a request that handle takes is handle's, at once or later, and no one else writes to its response", async (t) => {
  const origin = await startOrigin((_request, response) => response.end('origin'))
  const proxy = await startProxyAlone({ servers: [origin.url] }, {
    handle: (exchange) => {
      const { head: request, response } = exchange
      if (request.url === '/miss') return passFor(exchange, 'request-body')
      if (request.url === '/late-miss') return Promise.resolve(passFor(exchange))
      if (request.url === '/hit') {
        sendHead(exchange, 200, ['X-From', 'cache'])
        response.end('hit')
        return handled
      }
      return new Promise((resolve) =>
        setImmediate(() => {
          response.end('late hit')
          resolve(handled)
        })
      )
    },
  })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const hit = await ask(proxy.port, { path: '/hit' })
  t.equal(hit.body.toString(), 'hit')
  t.strictSame(hit.rawHeaders.slice(0, 2), ['X-From', 'cache'])
  t.equal(hit.header('cache-status'), undefined, 'handle says its own')
  t.equal((await ask(proxy.port, { path: '/late-hit' })).body.toString(), 'late hit')
  t.equal((await ask(proxy.port, { path: '/miss' })).body.toString(), 'origin')
  t.equal((await ask(proxy.port, { method: 'POST', path: '/late-miss', body: 'x' })).body.toString(), 'origin')
  t.strictSame(origin.requests.map(({ target }) => target), ['/miss', '/late-miss'])
})

tap.test('handle sees the exact target, the client, and no request that is not fit to be seen', async (t) => {
  const seen: string[] = []
  let client: RequestContext | undefined
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, {
    handle: ({ head, response, context }) => {
      seen.push(head.url as string)
      client = context
      response.end()
      return handled
    },
  })
  t.teardown(() => proxy.close())
  await ask(proxy.port, { path: '/a/./%7e?{b}' })
  await ask(proxy.port, { path: '/../x' })
  await rawRequest(proxy.port, 'GET http://b.example/y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await ask(proxy.port, { method: 'TRACE' })
  t.strictSame(seen, ['/a/./%7e?{b}', '/y'])
  t.match(client, { address: '127.0.0.1', scheme: 'http', httpVersion: '1.1', trusted: false })
  t.match(client?.requestId, /^[\w-]{36}$/)
  t.equal(client?.requestId, client?.requestId)
})

tap.test('a request injected through Fastify came past the listener, and reaches neither handle nor an origin', async (t) => {
  const origin = await startOrigin((_request, response) => response.end('origin'))
  let asked = 0
  const proxy = await startProxyAlone({ servers: [origin.url] }, {
    handle: (exchange) => {
      asked++
      return passFor(exchange)
    },
  })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  for (const url of ['/', '/a?b', '/../x']) t.equal((await proxy.app.inject(url)).statusCode, 404)
  t.equal((await proxy.app.inject({ method: 'POST', url: '/', payload: 'x' })).statusCode, 404)
  t.equal(asked, 0)
  t.equal(origin.requests.length, 0)
})
