// Uncaught errors, in real processes: a line in the log, an exit code, and a replaced worker.
import tap, { test } from 'tap'
import { startRedis } from '../support/redis.ts'
import { anyPort, crashing, origin, Running, urls } from './command.ts'

tap.setTimeout(360_000)

interface Fatal {
  readonly level: number
  readonly msg: string
  readonly doing: string
  readonly pid: number
  readonly err: { readonly message: string; readonly stack: string }
}

/** The fatal lines of a log. */
function fatals(stdout: string): Fatal[] {
  return stdout.trim().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Fatal).filter(({ level }) => level === 60)
}

const errors = [
  { signal: 'SIGUSR2', message: 'thrown in a timer', said: 'uncaught exception', stack: /inATimer/ },
  { signal: 'SIGWINCH', message: 'rejected, and nobody listens', said: 'unhandled rejection', stack: /crashing/ },
] as const

for (const { signal, message, said, stack } of errors) {
  test(`${said} is one fatal line that says what was being done, and exit code 1`, async (t) => {
    const serve = new Running(t, ['serve', ...origin, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' }, crashing)
    await urls(serve)
    serve.child.kill(signal)
    const { code, stdout, stderr } = await serve.ended
    t.equal(code, 1)
    const [line, ...more] = fatals(stdout)
    t.same(more, [])
    t.match(line, { msg: `${said}: the process ends`, doing: 'serving', pid: serve.child.pid, err: { message, stack } })
    t.match(stderr, new RegExp(`^springhouse: ${said}, while serving: ${message}$`, 'm'))
  })
}

test('a worker that ends by such an error is replaced, and the others go on', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const serve = new Running(t, ['serve', ...origin, ...anyPort, '--redis', redis.url, '--workers', '2'], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' }, crashing)
  const { admin } = await urls(serve)
  const [, first] = await serve.says(/workers\s+2 \(processes (\d+), (\d+)\)/)
  process.kill(Number(first), 'SIGUSR2')
  await serve.says(new RegExp(`worker ${first} ended \\(code 1\\); another worker starts in 100ms[^]*serves in its place`))
  t.equal((await fetch(`${admin}/healthz`)).status, 200)
  serve.child.kill('SIGTERM')
  const { code, stdout } = await serve.ended
  t.equal(code, 0)
  t.match(fatals(stdout), [{ doing: 'serving', pid: Number(first), err: { message: 'thrown in a timer' } }])
})
