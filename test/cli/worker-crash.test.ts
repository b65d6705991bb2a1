// Two workers under load, of which one crashes again and again.
import { test } from 'tap'
import { ask } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { anyPort, Running, urls } from './command.ts'

test('workers share their fetches, and a crashed worker loses only its requests in flight', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  let release: () => void = () => {}
  const origin = await startOrigin((request, response) => {
    const send = (): unknown => response.writeHead(200, { 'Cache-Control': request.url === '/live' ? 'no-store' : 'max-age=600' }).end('one')
    if (request.url === '/held') release = send
    else send()
  })
  t.teardown(() => origin.close())
  const serve = new Running(t, ['serve', '--origin', origin.url, ...anyPort, '--redis', redis.url, '--workers', '2'], {
    // Deadlines that a machine with much else to do does not run into.
    SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc',
    SPRINGHOUSE_REDIS_COMMAND_TIMEOUT_MS: '20000',
    SPRINGHOUSE_COHERENCE_MAX_LAG_MS: '30000',
  })
  const { proxy, admin } = await urls(serve)
  const [port, adminPort] = [Number(new URL(proxy).port), Number(new URL(admin).port)]
  let [, victim = ''] = await serve.says(/workers\s+2 \(processes (\d+), \d+\)/)
  /** The one in its place, once it serves; it came after `delayMs`. */
  const replaced = async (delayMs: number): Promise<void> => {
    const pattern = `worker ${victim} ended \\(SIGKILL\\); another worker starts in ${delayMs}ms[^]*?worker (\\d+) serves in its place`
    victim = (await serve.says(new RegExp(pattern)))[1] as string
  }

  await t.test('a hundred at once for one cold key make one request to the origin', async (t) => {
    /** A metric of each worker. */
    const each = async (name: string): Promise<number[]> => {
      const text = (await ask(adminPort, { path: '/metrics', headers: ['Authorization', 'Bearer abc-abc-abc-abc-abc'] })).body.toString()
      return Array.from(text.matchAll(new RegExp(`^springhouse_${name}\\{worker="\\d+"\\} (\\d+)$`, 'gm')), ([, value]) => Number(value))
    }
    await eventually(async () => (await each('purge_log_current')).join() === '1,1')
    const all = Array.from({ length: 100 }, () => ask(port, { path: '/held' }))
    await eventually(async () => (await each('coalescing_waits_total')).reduce((sum, waits) => sum + waits, 0) === 99)
    t.equal((await each('coalescing_waits_total')).every(waits => waits > 0), true, 'they wait at both')
    release()
    t.equal((await Promise.all(all)).every(({ body }) => body.toString() === 'one'), true)
    t.equal(origin.requests.filter(({ target }) => target === '/held').length, 1)
  })

  await t.test('a connection that was on its way to a dying worker is served by another', async (t) => {
    // Stopped, it takes nothing, but its turn comes as before.
    process.kill(Number(victim), 'SIGSTOP')
    let answered = 0
    const all = Array.from({ length: 6 }, async () => {
      const { status } = await ask(port, { path: '/a' })
      answered++
      return status
    })
    await eventually(() => answered === 5)
    process.kill(Number(victim), 'SIGKILL')
    t.same(await Promise.all(all), [200, 200, 200, 200, 200, 200])
    await replaced(100)
  })

  await t.test('under load only its requests in flight are lost; the next worker starts later each time', async (t) => {
    const load = new AbortController()
    let [begun, answered] = [0, 0]
    const failed: number[] = []
    const clients = Array.from({ length: 8 }, async () => {
      while (!load.signal.aborted) {
        const number = ++begun
        const whole = await ask(port, { path: '/live' }).then(({ status, complete }) => status === 200 && complete, () => false)
        if (whole) answered++
        else failed.push(number)
      }
    })
    const more = async (): Promise<void> => {
      const enough = answered + 50
      await eventually(() => answered >= enough)
    }
    for (const delayMs of [200, 400]) {
      await more()
      const [before, first] = [failed.length, begun]
      process.kill(Number(victim), 'SIGKILL')
      await serve.says(new RegExp(`worker ${victim} ended`))
      const last = begun
      await more()
      await replaced(delayMs)
      const lost = failed.slice(before)
      t.comment(`${lost.length} requests were under way at the worker that was killed; ${begun - first} went on at the other`)
      t.ok(lost.length <= clients.length)
      t.same(lost.filter(number => number > last), [], 'none of the connections that came after its end')
    }
    load.abort()
    await Promise.all(clients)
  })
})
