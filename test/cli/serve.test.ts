// `springhouse serve`: how it starts, stops, reloads, and refuses.
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'tap'
import { startOrigin } from '../support/scripted-origin.ts'
import { anyPort, freePort, origin, run, Running, urls } from './command.ts'

test('serve prints its listeners, its store and its origins', async (t) => {
  const serve = new Running(t, ['serve', ...origin, ...anyPort])
  const { proxy, admin } = await urls(serve)
  t.equal((await fetch(`${admin}/healthz`)).status, 200)
  await (await fetch(proxy)).text()
  serve.child.kill('SIGTERM')
  const { code, stderr } = await serve.ended
  t.equal(code, 0)
  t.match(stderr, /store\s+embedded: 256MiB/)
  t.match(stderr, /origin\s+default: http:\/\/127\.0\.0\.1:9/)
})

test('without any token, serve makes one on loopback, and prints it once', async (t) => {
  const serve = new Running(t, ['serve', ...origin, ...anyPort])
  await urls(serve)
  serve.child.kill('SIGHUP')
  await serve.says(/reloaded/)
  serve.child.kill('SIGTERM')
  const { stderr } = await serve.ended
  t.equal(stderr.match(/^admin token \(made for this run\): [\w-]{32}$/gm)?.length, 1)
  const given = new Running(t, ['serve', ...origin, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  await urls(given)
  given.child.kill('SIGINT')
  const end = await given.ended
  t.equal(end.code, 0, 'Ctrl-C ends it well, too')
  t.notMatch(end.stderr, /made for this run|abc/)
})

test('serve refuses a bad configuration with every problem, one line each', async (t) => {
  const { code, stdout, stderr } = await run(t, ['serve', '--port', 'http', '--admin-host', '0.0.0.0'])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.strictSame(stderr.split('\n'), [
    'springhouse: config: proxy.port: expected a whole number from 0 to 65535, got "http" (from --port)',
    'springhouse: config: admin.tokens: a token is needed because the admin listener is not on loopback (admin.host is 0.0.0.0); set SPRINGHOUSE_ADMIN_TOKEN, or admin.tokens',
    'springhouse: config: origins: none is given; give one with --origin http://127.0.0.1:3000, SPRINGHOUSE_ORIGINS, or origins in the file',
    '',
  ])
})

test('--default-ttl is the lifetime of responses that give none, also after a reload', async (t) => {
  const unsaid = await startOrigin((request, response) => void response.writeHead(200, request.url === '/said' ? { 'Cache-Control': 'max-age=0' } : {}).end('body'))
  t.teardown(() => unsaid.close())
  const serve = new Running(t, ['serve', '--origin', unsaid.url, ...anyPort, '--default-ttl', '1h'], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  const { proxy } = await urls(serve)
  const status = async (path: string): Promise<string | null> => (await fetch(`${proxy}${path}`)).headers.get('cache-status')
  for (const path of ['/before', '/after']) {
    t.match(await status(path), /stored; detail=uri-miss/)
    t.match(await status(path), /hit; ttl=3[56]\d\d; detail=fresh/)
    serve.child.kill('SIGHUP')
    await serve.says(/reloaded/)
  }
  await status('/said')
  t.match(await status('/said'), /detail=not-fresh/, 'a lifetime that the origin gives comes first')
  t.strictSame(await run(t, ['serve', '--origin', unsaid.url, ...anyPort, '--default-ttl', '60']), {
    code: 1,
    stdout: '',
    stderr: 'springhouse: config: routes[0].cache.ttl.default: expected a duration with its unit, such as 500ms, 30s or 5m, from 0s to 365d, got "60" (from --default-ttl)\n',
  })
})

test('a port that is taken is one clear line that names it', async (t) => {
  const port = await freePort()
  const first = new Running(t, ['serve', ...origin, '--host', '127.0.0.1', '--port', `${port}`, '--admin-port', '0'])
  await urls(first)
  const second = await run(t, ['serve', ...origin, '--host', '127.0.0.1', '--port', `${port}`, '--admin-port', '0'], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  t.strictSame(second, { code: 1, stdout: '', stderr: `springhouse: cannot listen on 127.0.0.1:${port}: the port is in use (EADDRINUSE)\n` })
})

test('an address that this machine does not have is one clear line', async (t) => {
  // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
  const { code, stderr } = await run(t, ['serve', ...origin, '--host', '192.0.2.1', '--port', '0', '--admin-port', '0'], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  t.equal(code, 1)
  t.match(stderr, /^springhouse: cannot listen on 192\.0\.2\.1(:0)?: this machine does not have that address \(EADDRNOTAVAIL\)\n$/)
})

test('a service link with the name of a setting is one line in the log, and in the output of check', async (t) => {
  const env = { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc', SPRINGHOUSE_PROXY_PORT: 'tcp://10.0.0.1:80', SPRINGHOUSE_SERVICE_HOST: '10.0.0.1', SPRINGHOUSE_VERSION: '1' }
  const serve = new Running(t, ['serve', ...origin, ...anyPort], env)
  await urls(serve)
  serve.child.kill('SIGHUP')
  await serve.says(/reloaded/)
  serve.child.kill('SIGTERM')
  const { stdout } = await serve.ended
  t.equal(stdout.match(/enableServiceLinks: false/g)?.length, 1)
  const file = `${t.testdir({ 'a.yaml': 'origins: { api: { servers: [http://127.0.0.1:9] } }' })}/a.yaml`
  const checked = await run(t, ['check', '--config', file], env)
  t.match(checked, { code: 0, stdout: 'config ok\n',
    stderr: /^springhouse: SPRINGHOUSE_PROXY_PORT=tcp:\/\/10\.0\.0\.1:80 is a Kubernetes service link for a service named springhouse-proxy, [^\n]*\n$/ })
})

test('a second signal stops at once, despite a request in flight', async (t) => {
  const serve = new Running(t, ['serve', ...origin, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  const { proxy } = await urls(serve)
  const client = connect(Number(new URL(proxy).port), '127.0.0.1')
  t.teardown(() => client.destroy())
  client.on('error', () => {})
  await new Promise<void>((resolve) => {
    client.write('GET / HTTP/1.1\r\nHost: a\r\n', () => resolve())
  })
  await (await fetch(proxy)).text() // whose response shows that the half request before it has arrived as well
  serve.child.kill('SIGTERM')
  await serve.says(/^springhouse: stopping/m)
  serve.child.kill('SIGTERM')
  t.equal((await serve.ended).code, 1)
})

test('SIGHUP takes a good file, and refuses a bad one whole', async (t) => {
  const file = `${t.testdir({ 'a.yaml': 'origins: { api: { servers: [http://127.0.0.1:9] } }\nproxy: { host: 127.0.0.1, port: 0 }\nadmin: { port: 0 }\n' })}/a.yaml`
  const good = 'origins: { api: { servers: [http://127.0.0.1:9] } }\nproxy: { host: 127.0.0.1, port: 0 }\nadmin: { port: 0 }\ncache: { maxVariants: 4 }\n'
  const serve = new Running(t, ['serve', '--config', file], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  const { admin } = await urls(serve)
  writeFileSync(file, `${good}workers: x\nlog: { level: loud }\n`)
  serve.child.kill('SIGHUP')
  await serve.says(
    /^springhouse: config: log\.level: [^]*^springhouse: config: workers: [^]*^springhouse: the new configuration is refused; the running configuration stays in force$/m,
  )
  t.equal((await fetch(`${admin}/healthz`)).status, 200)
  writeFileSync(file, good)
  serve.child.kill('SIGHUP')
  await serve.says(/^springhouse: configuration reloaded$/m)
  serve.child.kill('SIGTERM')
  t.equal((await serve.ended).code, 0)
})
