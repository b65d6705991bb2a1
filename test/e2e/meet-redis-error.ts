// A real process that meets errors of Redis: it does not end, and puts no secret into the log.
import t from 'tap'
import { ask } from '../support/client.ts'
import { Host } from '../support/hosting.ts'
import { eventually } from '../support/log.ts'
import { marks, type RedisError } from '../support/redis-errors.ts'
import { startOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'

// Many processes, on machines that are busy.
t.setTimeout(900_000)

const origin = await startOrigin((request, response) => {
  const body = request.url?.startsWith('/large') === true ? marks.body.repeat(20_000) : `${request.url}: ${marks.body}`
  if (request.method === 'POST') response.writeHead(303, { Location: request.url }).end()
  else response.writeHead(200, { 'Cache-Control': 'public, max-age=600', 'Cache-Tag': 'all' }).end(body)
})
t.teardown(() => origin.close())

// The same process meets all errors of a file, one after another.
const host = new Host()

interface Serving {
  readonly port: number
  readonly adminPort: number
}

async function serve(redis: object, { url }: ScriptedOrigin): Promise<Serving> {
  return await host.start({
    proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 1000 },
    admin: { port: 0, tokens: [{ name: 'test', token: marks.token, scopes: ['read', 'purge'] }] },
    redis: { commandTimeoutMs: 100, ...redis },
    origins: { api: { servers: [url] } },
    log: { level: 'trace', access: 'all' },
    coherence: { maxLagMs: 300, purgeWaitMs: 100 },
  })
}

const authorization = ['Authorization', `Bearer ${marks.token}`]

/** Sends a request of each kind that has Redis do something. */
async function use({ port, adminPort }: Serving, round: number): Promise<number[]> {
  const requests = [
    ask(port, { path: `/small/${round}` }),
    ask(port, { path: `/large/${round}` }),
    ask(port, { path: '/small/0', headers: authorization }),
    ask(port, { path: '/large/0', headers: ['Cookie', `session=${marks.token}`] }),
    ask(port, { path: '/small/0', method: 'POST', body: marks.body }),
    ask(port, { path: '/small/0', headers: ['Range', 'bytes=1-3'] }),
    ask(port, { path: '/small/1', method: 'HEAD' }),
  ]
  const admin = [
    ask(adminPort, { path: '/v1/purge', method: 'POST', headers: [...authorization, 'Content-Type', 'application/json'], body: JSON.stringify({ tags: [`mark`] }) }),
    ask(adminPort, { path: '/v1/entries?limit=10', headers: authorization }),
    ask(adminPort, { path: '/v1/stats', headers: authorization }),
  ]
  await Promise.all(admin)
  return (await Promise.all(requests)).map(({ status }) => status)
}

async function degraded({ adminPort }: Serving): Promise<readonly string[]> {
  return (JSON.parse((await ask(adminPort, { path: '/readyz' })).body.toString()) as { degraded: string[] }).degraded
}

// A part of a secret is one, too.
const secrets = Object.values(marks).flatMap((
  mark,
) => [mark, Buffer.from(mark).toString('base64').replace(/=+$/, ''), Buffer.from(mark).toString('hex'), Buffer.from(mark).join(',')])

// Guards: `summarise` and `safeErrors` (log.ts), `consoleToLog`, and contained.ts; each has errors here that fail without it.
/** Tests a replica that meets each error: it responds to every request, logs the error where it should, and stops in order. */
export function meetAll(errors: readonly RedisError[]): void {
  for (const error of errors) meet(error)
  t.test('the process that met all of them ends in order', async (test) => {
    test.equal(await host.end(), 0)
  })
}

function meet(error: RedisError): void {
  t.test(error.name, async (test) => {
    const { redis, begin, end } = await error.start(test)
    const serving = await serve(redis, origin)
    const answers = [await use(serving, 0)]
    await begin?.()
    for (let round = 1; round < 4; round++) answers.push(await use(serving, round))
    if (error.refuses !== undefined) await eventually(async () => (await degraded(serving)).includes('redis'))
    await end?.()
    test.same(new Set(answers.flat()), new Set([200, 206, 303].filter((status) => answers.flat().includes(status))), 'every request gets a response')
    test.equal((await ask(serving.adminPort, { path: '/healthz' })).status, 200)
    const { stdout, stderr } = await host.stop()
    test.pass('the replica stops in order, and the process goes on')
    const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as { level: number; msg: string })
    test.same(lines.filter(({ level }) => level >= 60), [])
    for (const output of [stdout, stderr]) {
      for (const secret of secrets)
        if (output.includes(secret)) test.fail('a secret is shown', { secret, where: output.split('\n').find((line) => line.includes(secret))?.slice(0, 2000) })
    }
    const warnings = lines.filter(({ level }) => level >= 40).map(({ msg, ...rest }) => `${msg} ${JSON.stringify(rest)}`)
    if (error.logs !== undefined) test.ok(warnings.some((line) => error.logs?.test(line)), 'the log says so', { warnings })
    if (error.refuses !== undefined) test.match(warnings.filter((line) => line.startsWith('Redis')), [error.refuses], 'one line says why there is no connection')
    if (error.refuses !== undefined) test.notOk(lines.some(({ msg }) => msg === 'Redis is back'), 'nor is there one later')
    test.comment(`${warnings.map((line) => line.slice(0, 400)).join('\n')}\n${stderr}`)
  })
}
