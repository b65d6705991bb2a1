// Stopping with requests in flight.
import { Agent } from 'node:http'
import t from 'tap'
import { open } from '../support/client.ts'
import { startProxy } from '../support/proxy.ts'

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
