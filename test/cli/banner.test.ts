// The banner of a start: the addresses it listens on, whether Redis was reached, and short tokens.
import { test } from 'tap'
import { startRedis } from '../support/redis.ts'
import { freePort, origin, Running, run } from './command.ts'

// The ports differ for each listener, and no request is made.
const onEvery = ['--port', '0', '--admin-port', '0']
const token = { SPRINGHOUSE_ADMIN_TOKEN: 'a-token-of-this-test' }

async function banner(serve: Running): Promise<string> {
  const [text] = await serve.says(/springhouse is ready\n(?: .*\n)*? +origin .*\n/)
  serve.child.kill('SIGTERM')
  await serve.ended
  return text
}

// Fails without the row `network` of announce.ts.
test('a listener on every address says so', async (t) => {
  const open = await banner(new Running(t, ['serve', ...origin, ...onEvery], token))
  t.match(open, /^ +network +proxy \(0\.0\.0\.0\): reachable on every address of this machine$/m)
  const both = await banner(new Running(t, ['serve', ...origin, ...onEvery, '--admin-host', '::'], token))
  t.match(both, /^ +network +proxy \(0\.0\.0\.0\) and admin \(::\): reachable on every address of this machine$/m)
  t.notMatch(await banner(new Running(t, ['serve', ...origin, ...onEvery, '--host', '127.0.0.1'], token)), /network/)
})

// Fails without `redisReached`.
for (const workers of ['1', '2']) {
  test(`the banner distinguishes a Redis that was reached; workers: ${workers}`, async (t) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const started = (url: string) => banner(new Running(t, ['serve', ...origin, ...onEvery, '--host', '127.0.0.1', '--workers', workers, '--redis', url], token))
    t.match(await started(redis.url), /^ +store +redis:\S+ \(reached\)$/m)
    t.match(await started(`redis://127.0.0.1:${await freePort()}`), /^ +store +redis:\S+ \(not reached: serving without it, and trying again\)$/m)
  })
}

test('a short token is refused off loopback, in check too, and a line on it', async (t) => {
  const short = { SPRINGHOUSE_ADMIN_TOKEN: 'short' }
  const refused = await run(t, ['serve', ...origin, ...onEvery, '--admin-host', '0.0.0.0'], short)
  t.equal(refused.code, 1)
  t.match(refused.stderr, /^springhouse: config: admin\.tokens\[0\]\.token: shorter than 16 characters, .* \(from SPRINGHOUSE_ADMIN_TOKEN\)\n$/)
  t.notMatch(refused.stderr, /"short"/)
  const serve = new Running(t, ['serve', ...origin, ...onEvery, '--host', '127.0.0.1'], short)
  await serve.says(/^springhouse: admin\.tokens\[0\]\.token \("env"\) is shorter than 16 characters; off loopback it would be refused$/m)
  await banner(serve)
})
