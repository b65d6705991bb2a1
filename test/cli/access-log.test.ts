// The access log of the program itself, on its standard output: alone, with workers, and for people.
import { test } from 'tap'
import { startOrigin } from '../support/scripted-origin.ts'
import { startRedis } from '../support/redis.ts'
import { anyPort, Running, urls } from './command.ts'

// The guard: `standardOutput` as the sink of AccessLog in app.ts. Without it the program counts its requests and writes no line.
for (const [how, workers] of [['alone', false], ['with workers', true]] as const) {
  test(`serve writes a line for each request that log.access names, ${how}`, async (t) => {
    const plain = await startOrigin((request, response) => void response.writeHead(request.url === '/failed' ? 500 : 200, { 'Cache-Control': 'max-age=60' }).end('body'))
    t.teardown(() => plain.close())
    const more: string[] = []
    if (workers) {
      const redis = await startRedis()
      t.teardown(() => redis.stop())
      more.push('--redis', redis.url, '--workers', '2')
    }
    for (const [access, expected] of [['all', ['/a?k=***', '/a?k=***', '/failed']], [undefined, ['/failed']], ['off', []]] as const) {
      const serve = new Running(t, ['serve', '--origin', plain.url, ...anyPort, ...more], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc',
        ...(access !== undefined && { SPRINGHOUSE_LOG_ACCESS: access }) })
      const { proxy } = await urls(serve)
      const ids = []
      for (const path of ['/a?k=secret', '/a?k=secret', '/failed']) {
        const response = await fetch(proxy + path)
        await response.text()
        ids.push(response.headers.get('x-request-id'))
      }
      // A stop writes the lines that wait.
      serve.child.kill('SIGTERM')
      const { stdout } = await serve.ended
      const lines = stdout.split('\n').filter((line) => line.includes('"msg":"request"')).map((line) => JSON.parse(line) as { target: string; requestId: string; worker?: string })
      t.same(lines.map(({ target }) => target), expected, `log.access ${access ?? 'by default'}`)
      for (const { requestId, worker } of lines) {
        t.ok(ids.includes(requestId))
        t.equal(worker !== undefined, workers)
      }
      t.notMatch(stdout, /secret/)
    }
  })
}

test('with log.pretty the lines are for people', async (t) => {
  const plain = await startOrigin((_request, response) => void response.end('body'))
  t.teardown(() => plain.close())
  const serve = new Running(t, ['serve', '--origin', plain.url, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc', SPRINGHOUSE_LOG_ACCESS: 'all',
    SPRINGHOUSE_LOG_PRETTY: 'true' })
  const { proxy } = await urls(serve)
  await (await fetch(`${proxy}/a`)).text()
  serve.child.kill('SIGTERM')
  const { stdout } = await serve.ended
  t.match(stdout, /INFO.*: request\n[^]*outcome: "miss"/)
})
