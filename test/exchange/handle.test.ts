// Each request gets a response, or is returned as the one Pass that holds it as it was routed.
import t from 'tap'
import { handled } from '../../src/exchange/handle.ts'
import { Pass } from '../../src/exchange/pass/pass.ts'
import { exchangeFor, someClient } from '../support/exchange.ts'
import { startHandler } from './handler-under-test.ts'

t.test('a hit returns one frozen value, synchronously, and so allocates none', async t => {
  const bench = await startHandler(t, { origin: (_, response) => response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('a') })
  for (let i = 0; i < 3; i++) await bench.get('/a')
  t.same(await Promise.all(bench.outcomes), [handled, handled, handled])
  for (const hit of bench.outcomes.slice(1)) t.equal(hit, handled)
  t.equal(Object.isFrozen(handled), true)
})

t.test('a pass is returned synchronously, with the request as it was routed, and leaves the response untouched', async t => {
  const bench = await startHandler(t, { origin: (_, response) => response.end() })
  for (const [method, rawHeaders, reason] of [['POST', ['Host', 'a'], 'method'], ['GET', ['Host', 'a', 'Content-Length', '1'], 'request-body'], ['GET', ['Host', 'a', 'Upgrade',
    'websocket'], 'upgrade']] as const) {
    const pass = bench.handler.handle(exchangeFor({ method, url: '/x?y', rawHeaders }))
    if (!(pass instanceof Pass)) return void t.fail(`${method} is a pass`)
    t.equal(pass.kind, 'pass')
    t.equal(pass.reason, reason)
    t.match(pass.routed.request, { method, target: '/x?y', authority: 'a' })
    t.equal(pass.routed.context, someClient)
    t.equal(pass.routed.route.origin, 'api')
    t.strictSame(pass.routed.allFields().slice(0, 2), ['host', 'a'])
  }
  const upgrade = bench.handler.passUpgrade(exchangeFor({ method: 'GET', url: '/socket', rawHeaders: ['Host', 'a', 'Upgrade', 'websocket'] }))
  t.equal(upgrade instanceof Pass && upgrade.reason, 'upgrade')
  t.throws(() => bench.handler.passUpgrade(exchangeFor({ method: 'GET', url: '/', rawHeaders: [] })), { code: 'BAD_REQUEST' })
})
