// Signals that Node gives a meaning which a server must not have: SIGUSR1 would open the inspector, and SIGUSR2 end the process.
import { test, type Test } from 'tap'
import { ask } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { anyPort, Running, urls } from './command.ts'

async function started(t: Test, ...more: string[]): Promise<{ serve: Running; status: () => Promise<number> }> {
  const origin = await startOrigin((_, response) => response.end())
  t.teardown(() => origin.close())
  const serve = new Running(t, ['serve', '--origin', origin.url, ...anyPort, ...more], { SPRINGHOUSE_ADMIN_TOKEN: 'a-token-of-this-test' })
  const { proxy } = await urls(serve)
  return { serve, status: async () => (await ask(Number(new URL(proxy).port))).status }
}

// Fails without cli/signals.ts.
test('SIGUSR1 and SIGUSR2 are a line each, and the process goes on without an inspector', async (t) => {
  const { serve, status } = await started(t)
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
    serve.child.kill(signal)
    await serve.says(new RegExp(`^springhouse: ${signal} has no effect: `, 'm'))
    t.equal(await status(), 200)
  }
  serve.child.kill('SIGTERM')
  const { code, stdout, stderr } = await serve.ended
  t.equal(code, 0)
  t.notMatch(stderr, /Debugger|inspector on/i)
  const log = stdout.trim().split('\n').map((line) => JSON.parse(line) as { signal?: string; msg: string })
  t.strictSame(log.flatMap((line) => line.signal ?? []), ['SIGUSR1', 'SIGUSR2'])
  t.match(log.map(({ msg }) => msg).slice(-2), [/^stopping after the requests in flight/, 'stopped'], 'a stop is in the log too')
})

test('a worker takes them in the same way', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { serve, status } = await started(t, '--redis', redis.url, '--workers', '2')
  const [, first, second] = await serve.says(/workers +2 \(processes (\d+), (\d+)\)/)
  for (const pid of [Number(first), Number(second)]) {
    process.kill(pid, 'SIGUSR2')
    process.kill(pid, 'SIGUSR1')
  }
  await eventually(async () => (await serve.says(/(?:SIGUSR1 has no effect[^]*){2}/)).length > 0)
  t.equal(await status(), 200)
  process.kill(Number(first), 'SIGKILL')
  const [, dead] = await serve.says(/worker (\d+) ended \(SIGKILL\)/)
  t.equal(dead, first)
  await serve.says(/worker \d+ serves in its place/)
  serve.child.kill('SIGTERM')
  const { stdout, stderr } = await serve.ended
  t.notMatch(stderr, /Debugger/)
  const log = stdout.trim().split('\n').map((line) => JSON.parse(line) as { level: number; msg: string; worker?: number; waitMs?: number })
  t.match(log.filter(({ worker }) => worker !== undefined), [{ level: 50, worker: Number(first), waitMs: 100 }, { level: 30, msg: /serves in its place/ }],
    'the end of a worker is in the log')
})
