// `springhouse serve --workers`: several processes behind one pair of listeners.
import { spawn } from 'node:child_process'
import { test, type Test } from 'tap'
import { anyPort, freePort, origin, run, Running, urls } from './command.ts'

test('workers without a store to share are refused', async (t) => {
  t.strictSame(await run(t, ['serve', ...origin, ...anyPort, '--workers', '2']), {
    code: 1, stdout: '', stderr: 'springhouse: config: workers: 2 processes need a store that they can share; set redis.url, or leave workers at 1 (from --workers)\n',
  })
})

async function startRedis(t: Test): Promise<string> {
  const port = await freePort()
  const redis = spawn('redis-server', ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise((resolve) => { redis.once('close', resolve) })
  t.teardown(async () => {
    redis.kill()
    await ended
  })
  let said = ''
  for await (const text of redis.stdout.setEncoding('utf8')) {
    said += text
    if (/ready to accept connections/i.test(said)) break
  }
  return `redis://127.0.0.1:${port}`
}

test('workers share the listeners, are replaced when they crash, and stop with their primary', async (t) => {
  const serve = new Running(t, ['serve', ...origin, ...anyPort, '--redis', await startRedis(t), '--workers', '2'], { SPRINGHOUSE_ADMIN_TOKEN: 'abc' })
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
  t.match(stderr, new RegExp(`worker ${first} ended \\(SIGKILL\\); another one starts in 100ms`))
  for (const pid of [second, replacement]) t.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' })
})

test('workers that cannot listen are told of once, and none is left', async (t) => {
  const port = await freePort()
  const first = new Running(t, ['serve', ...origin, '--host', '127.0.0.1', '--port', `${port}`, '--admin-port', '0'])
  await urls(first)
  const args = ['serve', ...origin, '--host', '127.0.0.1', '--port', `${port}`, '--admin-port', '0', '--redis', await startRedis(t), '--workers', '2']
  t.strictSame(await run(t, args, { SPRINGHOUSE_ADMIN_TOKEN: 'abc' }), {
    code: 1, stdout: '', stderr: `springhouse: cannot listen on 127.0.0.1:${port}: something listens there already (EADDRINUSE)\n`,
  })
})
