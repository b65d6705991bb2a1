// Secrets in files, in a running process: the changes that SIGHUP takes up, and those that it refuses.
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { test, type Test } from 'tap'
import { parse } from 'yaml'
import { eventually } from '../support/log.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { anyPort, origin, run, Running, urls } from './command.ts'

/** As Kubernetes does: the new file takes the place of the old one at once. */
function rotate(file: string, secret: string): void {
  writeFileSync(`${file}.new`, `${secret}\n`)
  renameSync(`${file}.new`, file)
}

async function status(admin: string, token: string): Promise<number> {
  // A connection of its own: with workers, each is likely to reach another.
  const answer = await fetch(`${admin}/v1/stats`, { headers: { authorization: `Bearer ${token}`, connection: 'close' } })
  await answer.text()
  // After ten refusals in a minute they are 429.
  return answer.status === 429 ? 401 : answer.status
}

/** The common status of several requests; undefined if they differ. */
async function agreed(admin: string, token: string): Promise<number | undefined> {
  const all = await Promise.all(Array.from({ length: 8 }, () => status(admin, token)))
  return new Set(all).size === 1 ? all[0] : undefined
}

async function startGuarded(t: Test): Promise<{ server: RedisServer; raw: Redis }> {
  const server = await startRedis({ args: ['--requirepass', 'redis-first'] })
  const raw = new Redis({ host: server.host, port: server.port, password: 'redis-first' })
  t.teardown(async () => {
    raw.disconnect()
    await server.stop()
  })
  return { server, raw }
}

// The guard: `currentFinder` in admin/auth.ts, and the tokens that `reload` in app.ts takes up.
test('a token that changes in its file is taken up on SIGHUP, and the old one refused', async (t) => {
  const dir = t.testdir({ token: 'token-1\n' })
  writeFileSync(`${dir}/a.yaml`, `admin: { tokens: [ { name: a, tokenFile: ${dir}/token }, { name: b, token: stays } ] }`)
  const serve = new Running(t, ['serve', '--config', `${dir}/a.yaml`, ...origin, ...anyPort])
  const { admin } = await urls(serve)
  const taken = async () => [await status(admin, 'token-1'), await status(admin, 'token-2'), await status(admin, 'stays')]
  t.strictSame(await taken(), [200, 401, 200])
  rotate(`${dir}/token`, 'token-2')
  t.strictSame(await taken(), [200, 401, 200], 'not before')
  serve.child.kill('SIGHUP')
  await serve.says(/^springhouse: configuration reloaded$/m)
  t.strictSame(await taken(), [401, 200, 200])
  const spoilt: readonly [() => void, string][] = [
    [() => rmSync(`${dir}/token`), `admin.tokens[0].tokenFile: cannot read ${dir}/token: there is no such file`],
    [() => writeFileSync(`${dir}/token`, '\n'), `admin.tokens[0].tokenFile: ${dir}/token is empty`],
    [() => writeFileSync(`${dir}/token`, 'stays'), 'admin.tokens[1].token: another token already has the same value'],
  ]
  for (const [spoil, line] of spoilt) {
    spoil()
    serve.child.kill('SIGHUP')
    await serve.says(new RegExp(`${line.replaceAll(/[.[\]]/g, '\\$&')}\nspringhouse: the new configuration is refused; the running configuration stays in force$`, 'm'))
    t.strictSame(await taken(), [401, 200, 200])
  }
  serve.child.kill('SIGTERM')
  const { code, stdout, stderr } = await serve.ended
  t.equal(code, 0)
  t.notMatch(stdout + stderr, /token-[12]|wait for the next start/)
})

test('SPRINGHOUSE_ADMIN_TOKEN_FILE gives the token, and is read again by every worker', async (t) => {
  const { server, raw } = await startGuarded(t)
  const dir = t.testdir({ token: 'first', password: 'redis-first' })
  const serve = new Running(t, ['serve', ...origin, ...anyPort, '--redis', server.url, '--workers', '2'], {
    SPRINGHOUSE_ADMIN_TOKEN_FILE: `${dir}/token`,
    SPRINGHOUSE_REDIS_PASSWORD_FILE: `${dir}/password`,
  })
  const { admin } = await urls(serve)
  const degraded = async () => ((await (await fetch(`${admin}/readyz`, { headers: { connection: 'close' } })).json()) as { degraded: string[] }).degraded.length > 0
  const everyWorker = async (holds: boolean) => (await Promise.all(Array.from({ length: 8 }, degraded))).every((each) => each === holds)
  await eventually(() => everyWorker(false))
  t.equal(await agreed(admin, 'first'), 200)
  rotate(`${dir}/token`, 'second')
  rotate(`${dir}/password`, 'redis-second')
  await raw.config('SET', 'requirepass', 'redis-second')
  await Promise.all(['normal', 'pubsub'].map((type) => raw.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')))
  await eventually(() => everyWorker(true))
  serve.child.kill('SIGHUP')
  await eventually(async () => await agreed(admin, 'first') === 401 && await agreed(admin, 'second') === 200)
  await eventually(() => everyWorker(false))
  // A worker that is started later has them from the primary.
  const [, first] = await serve.says(/workers\s+2 \(processes (\d+), \d+\)/)
  process.kill(Number(first), 'SIGKILL')
  await serve.says(/worker \d+ serves in its place/)
  await eventually(() => everyWorker(false))
  t.strictSame([await agreed(admin, 'first'), await agreed(admin, 'second')], [401, 200])
  serve.child.kill('SIGTERM')
  const { stdout, stderr } = await serve.ended
  t.match(stdout, /connections that are made from now on use them/)
  t.notMatch(stdout + stderr, /redis-(first|second)/)
})

test('a password for Redis that changes in its file is used once Redis demands it', async (t) => {
  const { server, raw } = await startGuarded(t)
  const dir = t.testdir({ url: `redis://:redis-first@${server.host}:${server.port}\n` })
  writeFileSync(`${dir}/a.yaml`, `redis: { urlFile: ${dir}/url }`)
  const serve = new Running(t, ['serve', '--config', `${dir}/a.yaml`, ...origin, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  const { admin } = await urls(serve)
  const degraded = async () => ((await (await fetch(`${admin}/readyz`)).json()) as { degraded: string[] }).degraded.length > 0
  const shown = async () => (await (await fetch(`${admin}/v1/config`, { headers: { authorization: 'Bearer abc-abc-abc-abc-abc' } })).json()) as object
  await eventually(async () => !await degraded())
  await raw.config('SET', 'requirepass', 'redis-second')
  await Promise.all(['normal', 'pubsub'].map((type) => raw.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')))
  await eventually(degraded)
  rotate(`${dir}/url`, `redis://:redis-second@${server.host}:${server.port}`)
  serve.child.kill('SIGHUP')
  await eventually(async () => !await degraded())
  t.match(await shown(), { redis: { url: `redis://:********@${server.host}:${server.port}`, urlFile: `${dir}/url` }, admin: { tokens: [{ name: 'env', token: '********' }] } })
  rotate(`${dir}/url`, 'redis://:redis-second@elsewhere:1')
  serve.child.kill('SIGHUP')
  // The log is on standard output: the line of it that counts comes before this one.
  await serve.says(/reloaded[^]*reloaded/)
  t.match(await shown(), { redis: { url: `redis://:********@${server.host}:${server.port}` } }, 'other servers wait for the next start')
  serve.child.kill('SIGTERM')
  const { stdout, stderr } = await serve.ended
  t.match(stdout, /"settings":\["redis"\],"msg":"these settings have changed, and wait for the next start"/)
  t.notMatch(stdout + stderr, /redis-(first|second)/)
})

test('a start with a file that is of no use is refused', async (t) => {
  const dir = t.testdir({})
  t.strictSame(await run(t, ['serve', ...origin, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN_FILE: `${dir}/none` }), {
    code: 1,
    stdout: '',
    stderr: `springhouse: config: SPRINGHOUSE_ADMIN_TOKEN_FILE: cannot read ${dir}/none: there is no such file\n`,
  })
})

test('check --print shows the path of the file, and not its content', async (t) => {
  const dir = t.testdir({ token: 'hush-hush-hush-hush' })
  writeFileSync(`${dir}/a.yaml`, `admin: { tokens: [ { name: a, tokenFile: ${dir}/token } ] }\norigins: { api: { servers: [http://a] } }`)
  const { code, stdout, stderr } = await run(t, ['check', '--config', `${dir}/a.yaml`, '--print'])
  t.strictSame([code, stderr], [0, ''])
  t.notMatch(stdout, /hush/)
  t.match(parse(stdout), { admin: { tokens: [{ token: '********', tokenFile: `${dir}/token` }] } })
})
