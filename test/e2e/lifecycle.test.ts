// Stopping and reloading with requests in flight.
import { Agent } from 'node:http'
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { open } from '../support/client.ts'
import { counting, detail, startProxy } from '../support/proxy.ts'

t.test('a stop waits for the response in flight, and not for connections that its client keeps open afterwards', async t => {
  let finish: () => void = () => {}
  const house = await startProxy(t, {
    origin: (_, response) => {
      response.writeHead(200, { 'Cache-Control': 'no-store' })
      response.write('first ')
      finish = () => response.end('last')
    },
    config: { proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 3_600_000 } },
  })
  const agent = new Agent({ keepAlive: true })
  const text = await new Promise<string>((resolve, reject) => {
    open(house.port, { path: '/a', agent }, response => {
      let whole = ''
      response.on('data', (chunk: Buffer) => {
        whole += chunk.toString()
        if (whole !== 'first ') return
        void house.app.close().then(() => resolve(whole), reject)
        finish()
      })
    }).on('error', reject)
  })
  t.equal(text, 'first last')
  agent.destroy()
})

t.test('a reload whose routes lead to an origin that is not there is refused, and the running configuration stays', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }) })
  await house.get('/a')
  const servers = [house.origin.url]
  const next = resolveConfig({ origins: { api: { servers }, other: { servers } }, routes: [{ match: {}, origin: 'other' }] })
  await t.rejects(house.app.reload(next), /other/)
  t.equal(detail(await house.get('/a')), 'fresh')
})
