// Rolling restarts: a stop keeps serving until load balancers have noticed, unless a person stops the program at a terminal.
import { spawn } from 'node:child_process'
import { Agent } from 'node:http'
import { test } from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { endWithUs } from '../support/children.ts'
import { ask } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { anyPort, Running, urls } from './command.ts'

const program = new URL('../../src/cli/main.js', import.meta.url).pathname
const hour = { SPRINGHOUSE_ADMIN_TOKEN: 'a-token-of-this-test', SPRINGHOUSE_PROXY_SHUTDOWN_DELAY_MS: '1h' }

test('the delay is two seconds by default', async (t) => {
  t.equal(resolveConfig({ origins: { api: { servers: ['http://127.0.0.1:1'] } } }).proxy.shutdownDelayMs, 2_000)
})

// nginx sends a POST over a connection that it kept, in the moment in which the replica behind it stops. Without the delay the
// connection is closed under the request, which nginx must not send again. The guard: `delayed` in app.ts.
for (const workers of [1, 2]) {
  test(`a POST over a kept connection arrives after SIGTERM, and its response says that the connection ends; workers: ${workers}`, async (t) => {
    const origin = await startOrigin((_, response) => response.end('done'))
    const redis = await startRedis()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(async () => {
      agent.destroy()
      await redis.stop()
      await origin.close()
    })
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const serve = new Running(t, ['serve', '--origin', origin.url, ...anyPort, '--redis', redis.url, '--workers', String(workers)], hour)
      const { proxy, admin } = await urls(serve)
      const post = () => ask(Number(new URL(proxy).port), { method: 'POST', body: 'x', agent })
      t.equal((await post()).header('connection'), 'keep-alive')
      serve.child.kill(signal)
      await eventually(async () => (await ask(Number(new URL(admin).port), { path: '/readyz' })).status === 503)
      const { status, body } = await post()
      t.same([status, String(body)], [200, 'done'], signal)
      serve.child.kill('SIGKILL')
      await serve.ended
    }
  })
}

// Fails without `isDelayed`: the end would come after an hour.
test('Ctrl-C at a terminal stops without the delay', async (t) => {
  const command = `exec ${process.execPath} ${program} serve --origin http://127.0.0.1:9 ${anyPort.join(' ')}`
  const terminal = spawn('env', ['-u', 'NODE_OPTIONS', 'script', '-qec', command, '/dev/null'], { env: { PATH: process.env.PATH, SHELL: '/bin/sh', ...hour },
    stdio: ['pipe', 'pipe', 'inherit'] })
  endWithUs(terminal)
  t.teardown(() => terminal.kill('SIGKILL'))
  let shown = ''
  terminal.stdout?.setEncoding('utf8').on('data', (text: string) => {
    shown += text
  })
  const ended = new Promise((resolve) => {
    terminal.once('exit', resolve)
  })
  await eventually(() => shown.includes('springhouse is ready'))
  terminal.stdin?.write('\x03')
  t.equal(await ended, 0)
  t.match(shown, /stopped/)
})
