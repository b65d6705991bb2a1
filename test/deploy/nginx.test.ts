// deploy/nginx: nginx accepts both files, and does before and behind the proxy what docs/production.md says.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { freePort, Running, urls } from '../cli/command.ts'
import { page } from '../docs/blocks.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { endWithUs } from '../support/children.ts'
import { startProxy } from '../support/proxy.ts'
import { rawHeader, startOrigin } from '../support/scripted-origin.ts'
import { skipWithout } from './programs.ts'
import { accepts } from '../support/programs.ts'

const skip = skipWithout('nginx', ['-v'])

/** Runs nginx with a file of deploy/nginx, its ports and paths replaced. It ends with the test. */
async function startNginx(t: Test, name: string, port: number, replaced: Readonly<Record<string, string>>, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = t.testdir({ 'shop.pem': testCertificate, 'shop.key': testKey, ...files })
  mkdirSync(join(folder, 'temp'), { recursive: true })
  const here = { '/etc/tls/': `${folder}/`, '/var/www/shop': folder, ...replaced }
  const text = Object.entries(here).reduce((changed, [from, to]) => changed.replaceAll(from, to), page(`deploy/nginx/${name}`))
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(each => `${each}_temp_path ${folder}/temp/${each};`).join(' ')
  // Worker processes need the rights of the folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  writeFileSync(join(folder, 'nginx.conf'),
    `${user} daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr; events {} http { access_log off; types { application/json json; } ${temp}\n${text}\n}`)
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']
  const { status, stderr } = spawnSync('nginx', ['-t', ...args], { encoding: 'utf8' })
  t.equal(status, 0, `nginx -t: ${stderr}`)
  const child = spawn('nginx', args, { detached: true, stdio: 'ignore' })
  endWithUs(child, { group: true })
  t.teardown(async () => {
    const closed = once(child, 'close')
    process.kill(-(child.pid as number), 'SIGKILL')
    await closed
  })
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error('nginx ended')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return folder
}

/** A request over TLS for shop.example. */
function shop(port: number, path: string, options: { method?: string; headers?: Readonly<Record<string, string>> } = {}): Promise<{ status: number; cacheStatus: string }> {
  return new Promise((resolve, reject) => {
    const headers = { Host: 'shop.example', ...options.headers }
    const sent = request({ port, host: '127.0.0.1', path, method: options.method ?? 'GET', headers, agent: false, ca: testCertificate, servername: 'shop.example',
      checkServerIdentity: () => undefined }, response => {
      response.resume().on('end', () => resolve({ status: response.statusCode ?? 0, cacheStatus: String(response.headers['cache-status']) }))
    })
    sent.on('error', reject).end()
  })
}

t.test('nginx before the proxy', { skip }, async t => {
  const origin = await startOrigin((_request, response) => response.writeHead(200, { 'Cache-Control': 'public, max-age=60' }).end('fine'))
  t.teardown(() => origin.close())
  const config = { proxy: { host: '127.0.0.1', port: 0, trustProxy: ['127.0.0.1'] } }
  const [a, b] = [await startProxy(t, { origin, config }), await startProxy(t, { origin, config })]
  const port = await freePort()
  await startNginx(t, 'before.conf', port, { 'listen 443': `listen 127.0.0.1:${port}`, '127.0.0.1:8080': `127.0.0.1:${a.port}`, '127.0.0.1:8090': `127.0.0.1:${b.port}` })

  const statuses = []
  for (let i = 0; i < 4; i++) statuses.push((await shop(port, '/a')).cacheStatus)
  t.equal(statuses.filter(status => status.includes('hit')).length, 2, 'each replica has fetched once')

  const claims = { 'X-Forwarded-For': '6.6.6.6', 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'http', 'Forwarded': 'for=6.6.6.6;host=evil.example' }
  t.equal((await shop(port, '/b', { method: 'POST', headers: claims })).status, 200)
  const seen = origin.requests.at(-1)?.rawHeaders ?? []
  const value = (name: string) => rawHeader(seen, name)
  t.same([value('host'), value('x-forwarded-host'), value('x-forwarded-proto')], ['shop.example', 'shop.example', 'https'])
  t.notMatch(seen.join('\n'), /6\.6\.6\.6|evil/, 'a client is not believed')

  await b.app.close()
  const after = await Promise.all(Array.from({ length: 8 }, () => shop(port, '/a')))
  t.same(after.map(({ status }) => status), Array.from({ length: 8 }, () => 200), 'a replica that has ended is not missed')
})

// Guards: max_fails=0 and proxy_next_upstream in the file.
t.test('both replicas are restarted, one after the other, and no request fails', { skip, timeout: 60_000 }, async t => {
  const origin = await startOrigin((_request, response) => response.writeHead(200, { 'Cache-Control': 'no-store' }).end('fine'))
  t.teardown(() => origin.close())
  const ports = [await freePort(), await freePort()] as const
  const start = async (port: number): Promise<Running> => {
    const flags = ['--origin', origin.url, '--host', '127.0.0.1', '--port', String(port), '--admin-port', '0']
    const running = new Running(t, ['serve', ...flags], { SPRINGHOUSE_PROXY_SHUTDOWN_DELAY_MS: '200' })
    await urls(running)
    return running
  }
  const replicas = await Promise.all(ports.map(start))
  const port = await freePort()
  await startNginx(t, 'before.conf', port, { 'listen 443': `listen 127.0.0.1:${port}`, '127.0.0.1:8080': `127.0.0.1:${ports[0]}`, '127.0.0.1:8090': `127.0.0.1:${ports[1]}` })

  const over = new AbortController()
  const counts: Record<number, number> = {}
  const load = ['GET', 'PUT'].map(async method => {
    while (!over.signal.aborted) {
      const { status } = await shop(port, '/a', { method })
      counts[status] = (counts[status] ?? 0) + 1
    }
  })
  for (const [i, replica] of replicas.entries()) {
    replica.child.kill('SIGTERM')
    t.equal((await replica.ended).code, 0)
    await start(ports[i] as number)
  }
  over.abort()
  await Promise.all(load)
  t.same(Object.keys(counts), ['200'], JSON.stringify(counts))
  t.ok((counts[200] ?? 0) > 20)
})

// Guard: gzip_proxied in the file. Without it nothing is compressed, because each request has Via.
t.test('nginx behind the proxy', { skip }, async t => {
  const port = await freePort()
  const json = JSON.stringify({ text: 'springhouse '.repeat(100) })
  await startNginx(t, 'behind.conf', port, { '127.0.0.1:3000': `127.0.0.1:${port}` }, { 'a.json': json })
  const house = await startProxy(t, { origin: () => undefined, config: { origins: { api: { servers: [`http://127.0.0.1:${port}`] } } } })
  for (const expected of [/fwd=uri-miss; fwd-status=200; stored/, /hit/]) {
    const answer = await house.get('/a.json', { 'Accept-Encoding': 'gzip' })
    t.equal(answer.header('content-encoding'), 'gzip')
    t.equal(gunzipSync(answer.body).toString(), json)
    t.match(answer.header('cache-status'), expected)
  }
  const plain = await house.get('/a.json')
  t.equal(plain.header('content-encoding'), undefined, 'another client gets what it can read')
  t.equal(plain.body.toString(), json)
})
