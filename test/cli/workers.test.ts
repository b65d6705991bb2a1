// `springhouse serve --workers`: several processes behind one pair of listeners.
import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { test, type Test } from 'tap'
import { ask, type Answer } from '../support/client.ts'
import { counting, detail } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { anyPort, freePort, givingBack, origin, run, Running, urls } from './command.ts'

test('workers without a store to share are refused', async (t) => {
  t.strictSame(await run(t, ['serve', ...origin, ...anyPort, '--workers', '2']), {
    code: 1,
    stdout: '',
    stderr: 'springhouse: config: workers: 2 processes need a shared store; set redis.url, or leave workers at 1 (from --workers)\n',
  })
})

async function redisUrl(t: Test): Promise<string> {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  return redis.url
}

test('workers share the listeners, are replaced when they crash, and stop with their primary', async (t) => {
  const serve = new Running(t, ['serve', ...origin, ...anyPort, '--redis', await redisUrl(t), '--workers', '2'], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  const { admin } = await urls(serve)
  const [, first, second] = await serve.says(/workers\s+2 \(processes (\d+), (\d+)\)/)
  t.equal((await fetch(`${admin}/healthz`)).status, 200)
  process.kill(Number(first), 'SIGKILL')
  const [, replacement] = await serve.says(/worker (\d+) serves in its place/)
  t.equal((await fetch(`${admin}/healthz`)).status, 200)
  serve.child.kill('SIGHUP')
  await serve.says(/reloaded/)
  serve.child.kill('SIGTERM')
  const { code, stderr } = await serve.ended
  t.equal(code, 0)
  t.match(stderr, new RegExp(`worker ${first} ended \\(SIGKILL\\); another worker starts in 100ms`))
  for (const pid of [second, replacement]) t.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' })
})

test('without Redis, one for each processor is one: alone, with the embedded store', async (t) => {
  const serve = new Running(t, ['serve', ...origin, ...anyPort, '--workers', 'auto'], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  const { admin } = await urls(serve)
  const stats = async (): Promise<{ pid: number; store: { kind: string } }> =>
    JSON.parse((await ask(Number(new URL(admin).port), { path: '/v1/stats', headers: ['Authorization', 'Bearer abc-abc-abc-abc-abc'] })).body.toString())
  t.match(await stats(), { pid: serve.child.pid, store: { kind: 'memory' } })
})

test('workers that cannot listen are reported once, and none is left', async (t) => {
  const port = await freePort()
  const first = new Running(t, ['serve', ...origin, '--host', '127.0.0.1', '--port', `${port}`, '--admin-port', '0'])
  await urls(first)
  const args = ['serve', ...origin, '--host', '127.0.0.1', '--port', `${port}`, '--admin-port', '0', '--redis', await redisUrl(t), '--workers', '2']
  t.strictSame(await run(t, args, { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' }), {
    code: 1,
    stdout: '',
    stderr: `springhouse: cannot listen on 127.0.0.1:${port}: the port is in use (EADDRINUSE)\n`,
  })
})

test('a purge at any worker is acknowledged by all, and no worker serves the old response after it', async (t) => {
  const counted = await startOrigin(counting({ 'Cache-Control': 'max-age=600', 'Cache-Tag': 'things' }))
  t.teardown(() => counted.close())
  const serve = new Running(t, ['serve', '--origin', counted.url, ...anyPort, '--redis', await redisUrl(t), '--workers', '2'], {
    // Deadlines that a machine with much else to do does not run into.
    SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc',
    SPRINGHOUSE_REDIS_COMMAND_TIMEOUT_MS: '20000',
    SPRINGHOUSE_COHERENCE_MAX_LAG_MS: '30000',
    SPRINGHOUSE_COHERENCE_PURGE_WAIT_MS: '20000',
  })
  const { proxy, admin } = await urls(serve)
  const replicas = async (): Promise<{ id: string }[]> => {
    const answer = await fetch(`${admin}/v1/replicas`, { headers: { Authorization: 'Bearer abc-abc-abc-abc-abc' } })
    return ((await answer.json()) as { replicas: { id: string }[] }).replicas
  }
  const [, ...workers] = await serve.says(/workers\s+2 \(processes (\d+), (\d+)\)/)
  // Each worker is a replica. The worker that responds counts itself in any case, so several responses are compared.
  const bothAreThere = async (): Promise<boolean> => (await replicas()).map(({ id }) => id.split('-').at(-2)).toSorted().join() === workers.toSorted().join()
  await eventually(async () => (await Promise.all([bothAreThere(), bothAreThere(), bothAreThere(), bothAreThere()])).every(Boolean))

  // Connections go to the workers in turn, and each stays with its worker: four of them reach both.
  const agents = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  t.teardown(() => {
    for (const agent of agents) agent.destroy()
  })
  const port = Number(new URL(proxy).port)
  const everywhere = (): Promise<Answer[]> => Promise.all(agents.map((agent) => ask(port, { path: '/a', agent })))
  const number = (answer: Answer): number => Number(/^answer (\d+)$/.exec(answer.body.toString())?.[1])

  // The first responses may come while a worker is still reading the purge log: it then keeps nothing.
  await eventually(async () => (await everywhere()).every((answer) => detail(answer) === 'fresh'))
  for (const body of [{ tags: ['things'] }, { urls: ['/a'] }, { prefixes: ['/'] }, { all: true }, { tags: ['things'] }, { all: true }]) {
    const before = Math.max(...(await everywhere()).map(number))
    const receipt = await fetch(`${admin}/v1/purge`, {
      method: 'POST',
      headers: { Authorization: 'Bearer abc-abc-abc-abc-abc', 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    const after = await everywhere()
    t.equal(receipt.status, 200)
    t.match(await receipt.json(), { replicas: { live: 2, acknowledged: 2 } })
    t.equal(after.every((answer) => number(answer) > before), true, `none older than ${JSON.stringify(body)}`)
    t.equal((await everywhere()).every((answer) => detail(answer) === 'fresh'), true, 'and it is kept again')
  }
  for (const agent of agents) agent.destroy()
  serve.child.kill('SIGTERM')
  t.equal((await serve.ended).code, 0)
})

test('a connection that the last worker returns as it stops is closed: no worker is left to serve it', async (t) => {
  const primary = new Running(t, [], {}, givingBack)
  const [, worker, port] = await primary.says(/worker (\d+) listens on (\d+)/)
  // It cannot read until it has been sent the stop and a connection, in that order.
  process.kill(Number(worker), 'SIGSTOP')
  primary.child.kill('SIGTERM')
  await primary.says(/told/)
  const client = connect(Number(port), '127.0.0.1')
  client.on('error', () => {})
  await primary.says(/given/)
  process.kill(Number(worker), 'SIGCONT')
  await once(client, 'close')
  await primary.says(/has closed/)
})

test('statistics cover all workers, at any worker; a worker that hangs is left out', async (t) => {
  const counted = await startOrigin(counting({ 'Cache-Control': 'max-age=600' }))
  t.teardown(() => counted.close())
  const serve = new Running(t, ['serve', '--origin', counted.url, ...anyPort, '--redis', await redisUrl(t), '--workers', '2'], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  const { proxy, admin } = await urls(serve)
  const [, ...workers] = await serve.says(/workers\s+2 \(processes (\d+), (\d+)\)/)
  const text = async (path: string): Promise<string> => (await ask(Number(new URL(admin).port), { path, headers: ['Authorization', 'Bearer abc-abc-abc-abc-abc'] })).body.toString()
  const stats = async (): Promise<Stats> => JSON.parse(await text('/v1/stats')) as Stats
  // Connections go to the workers in turn, more or less.
  let sent = 0
  await eventually(async () => {
    t.equal((await ask(Number(new URL(proxy).port), { path: `/${sent++}` })).status, 200)
    return (await stats()).workers.every(({ requests }) => requests > 0)
  })
  const { routes: [route] } = JSON.parse(await text('/v1/routes')) as { routes: { requests: number; latencyMs: { miss: { count: number } } }[] }
  t.equal(route?.requests, sent)
  t.equal(route?.latencyMs.miss.count, sent, 'each request was for a new path')
  // The stream shows the requests of both workers.
  const leaving = new AbortController()
  const tail = await fetch(`${admin}/v1/tail`, { headers: { Authorization: 'Bearer abc-abc-abc-abc-abc' }, signal: leaving.signal })
  const shown = new Set<string>()
  const reading = (async () => {
    for await (const chunk of tail.body as ReadableStream<Uint8Array>) for (const [, pid = ''] of new TextDecoder().decode(chunk).matchAll(/"worker":"(\d+)"/g)) shown.add(pid)
  })().catch(() => undefined)
  await eventually(async () => {
    await ask(Number(new URL(proxy).port), { path: `/${sent++}` })
    return shown.size === 2
  })
  t.same([...shown].toSorted(), workers.toSorted())
  leaving.abort()
  await reading

  const tellers = new Set<number>()
  while (tellers.size < 2) {
    const { pid, requests, workers: those } = await stats()
    tellers.add(pid)
    t.equal(requests, sent)
    t.same(those.map((each) => String(each.pid)).toSorted(), workers.toSorted())
    t.equal(those.reduce((sum, each) => sum + each.requests, 0), sent)
  }
  const scraped = await text('/metrics')
  const fills = Array.from(scraped.matchAll(/^springhouse_fills_begun_total\{worker="(\d+)"\} (\d+)$/gm), ([, worker, count]) => ({ worker, count: Number(count) }))
  t.same(fills.map(({ worker }) => worker).toSorted(), workers.toSorted())
  t.equal(fills.reduce((sum, { count }) => sum + count, 0), sent)
  t.equal(scraped.match(/^# TYPE springhouse_fills_begun_total /gm)?.length, 1)

  const [hanging, other] = workers as [string, string]
  process.kill(Number(hanging), 'SIGSTOP')
  // Every second request of these goes to the hanging worker, and waits for it to go on.
  const asked = [stats(), stats()]
  const first = await Promise.race(asked)
  t.same(first.workers.map(({ pid }) => String(pid)), [other])
  process.kill(Number(hanging), 'SIGKILL')
  await Promise.allSettled(asked)
  const [, replacement] = await serve.says(/worker (\d+) serves in its place/)
  t.same((await stats()).workers.map(({ pid }) => String(pid)).toSorted(), [other, replacement as string].toSorted())
})

interface Stats {
  readonly pid: number
  readonly requests: number
  readonly workers: readonly { readonly pid: number; readonly requests: number }[]
}
