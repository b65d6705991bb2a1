// Redis over TLS, with a private authority: a server, a Sentinel and the servers it watches, a node of a cluster.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { redisTls } from '../../src/tls.ts'
import { freePort } from '../cli/command.ts'
import { strangeCertificate, strangeKey, testCertificate, testKey } from '../support/certificate.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

t.setTimeout(360_000)

const directory = mkdtempSync(join(tmpdir(), 'springhouse-tls-'))
t.teardown(() => rmSync(directory, { recursive: true, force: true }))
const files = { ca: join(directory, 'ca.pem'), key: join(directory, 'key.pem'), strange: join(directory, 'strange.pem'), strangeKey: join(directory, 'strange-key.pem'),
  empty: join(directory, 'empty.pem') }
writeFileSync(files.ca, testCertificate)
writeFileSync(files.key, testKey)
writeFileSync(files.strange, strangeCertificate)
writeFileSync(files.strangeKey, strangeKey)
writeFileSync(files.empty, 'nothing')

interface TlsRedis {
  readonly redis: RedisServer
  readonly tlsPort: number
}

async function start(test: Test, options: { clients?: 'yes' | 'no'; more?: readonly string[]; sentinel?: string } = {}): Promise<TlsRedis> {
  const tlsPort = await freePort()
  const { clients = 'no', more = [], sentinel } = options
  const args = ['--tls-port', String(tlsPort), '--tls-cert-file', files.ca, '--tls-key-file', files.key, '--tls-ca-cert-file', files.ca, '--tls-auth-clients', clients, ...more]
  const redis = await startRedis({ args, ...(sentinel !== undefined && { sentinel }) })
  test.teardown(() => redis.stop())
  return { redis, tlsPort }
}

type Settings = Readonly<Record<string, unknown>>

async function house(test: Test, redis: Settings): Promise<TestProxy<typeof systemClock>> {
  return startProxy(test, {
    origin: (_request, response) => response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('body'),
    clock: systemClock,
    // Redis alone: a hit has come over TLS.
    config: { redis: { commandTimeoutMs: 2000, connectTimeoutMs: 2000, ...redis }, cache: { memory: { maxBytes: 0 } } },
  })
}

async function works(test: Test, redis: Settings): Promise<void> {
  const running = await house(test, redis)
  await eventually(async () => {
    await running.get('/page')
    return detail(await running.get('/page')) === 'fresh'
  })
  test.equal((await running.purge({ urls: [`http://127.0.0.1:${running.port}/page`] })).status, 200)
}

async function refuses(test: Test, redis: Settings, reason: RegExp): Promise<void> {
  const running = await house(test, redis)
  await eventually(async () => (JSON.parse((await running.admin('/readyz')).body.toString()) as { degraded: string[] }).degraded.includes('redis'))
  await eventually(() => running.log.some(({ msg }) => msg.startsWith('Redis')))
  for (let i = 0; i < 3; i++) test.equal((await running.get(`/page/${i}`)).status, 200)
  const told = running.log.filter(({ msg }) => msg.startsWith('Redis')).map(({ msg }) => msg)
  test.match(told, [reason], 'one line says why')
}

t.test('a server whose certificate is of the configured authority', async (test) => {
  const { tlsPort } = await start(test)
  await works(test, { url: `rediss://127.0.0.1:${tlsPort}/2`, tls: { ca: files.ca } })
  await works(test, { url: `valkeys://localhost:${tlsPort}`, tls: { ca: files.ca, servername: 'origin.test' } })
  await works(test, { url: `rediss://127.0.0.1:${tlsPort}`, tls: { rejectUnauthorized: false } })
})

t.test('a certificate that does not verify means no connection, and one line says how to mend it', async (test) => {
  const { tlsPort } = await start(test)
  const url = `rediss://127.0.0.1:${tlsPort}`
  await refuses(test, { url }, /^Redis is not used: its certificate is of an authority that is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\); give the authority as redis\.tls\.ca$/)
  await refuses(test, { url, tls: { ca: files.strange } }, /^Redis is not used: its certificate is of an authority that is not trusted/)
  await refuses(test, { url, tls: { ca: files.ca, servername: 'another.test' } }, /^Redis is not used: its certificate is for another name .* redis\.tls\.servername$/)
})

t.test('a server that requires a certificate of its clients', async (test) => {
  const { tlsPort } = await start(test, { clients: 'yes' })
  const url = `rediss://127.0.0.1:${tlsPort}`
  await works(test, { url, tls: { ca: files.ca, cert: files.ca, key: files.key } })
  await refuses(test, { url, tls: { ca: files.ca } }, /^Redis is not used: it does not accept the client's certificate, or requires one .* redis\.tls\.cert and redis\.tls\.key$/)
  await refuses(test, { url, tls: { ca: files.ca, cert: files.strange, key: files.strangeKey } }, /^Redis is not used: it does not accept the client's certificate/)
})

t.test('TLS to a plain port, and plain to a port that speaks TLS', async (test) => {
  const { redis, tlsPort } = await start(test)
  await refuses(test, { url: `rediss://127.0.0.1:${redis.port}`, tls: { ca: files.ca }, connectTimeoutMs: 300 },
    /^Redis is not used: no TLS connection can be made \(E[A-Z_]+\); check .*redis:\/\/ /)
  await refuses(test, { url: `redis://127.0.0.1:${tlsPort}` },
    /^Redis is not used: (?:the server there is not Redis, or uses TLS|it closes the connection before it replies \(E[A-Z]+\)); check .*rediss:\/\/ /)
})

t.test('Sentinels, and the servers that they watch', async (test) => {
  const { tlsPort } = await start(test, { more: ['--tls-replication', 'yes'] })
  const own = ['tls-replication yes', `tls-cert-file ${files.ca}`, `tls-key-file ${files.key}`, `tls-ca-cert-file ${files.ca}`, 'tls-auth-clients no']
  const { redis, tlsPort: sentinelPort } = await start(test, { more: ['--tls-replication', 'yes'], sentinel: [...own, `sentinel monitor cache 127.0.0.1 ${tlsPort} 1`].join('\n') })
  await works(test, { sentinel: { master: 'cache', nodes: [`rediss://127.0.0.1:${sentinelPort}`] }, tls: { ca: files.ca } })
  await works(test, { sentinel: { master: 'cache', nodes: [`127.0.0.1:${sentinelPort}`] }, tls: { ca: files.ca } })
  await refuses(test, { sentinel: { master: 'cache', nodes: [`127.0.0.1:${sentinelPort}`] }, tls: { ca: files.strange } },
    /^Redis is not used: no Sentinel can be reached; check redis\.sentinel\.nodes/)
  await refuses(test, { sentinel: { master: 'cache', nodes: [`127.0.0.1:${redis.port}`] } }, /^Redis is/)
})

t.test('a cluster, whose nodes are found by name', async (test) => {
  const { tlsPort, redis } = await start(test, { more: ['--cluster-enabled', 'yes', '--tls-cluster', 'yes', '--cluster-announce-ip', '127.0.0.1'] })
  const { Redis } = await import('ioredis')
  const raw = new Redis(redis.port, redis.host)
  await raw.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
  raw.disconnect()
  await works(test, { cluster: [`rediss://127.0.0.1:${tlsPort}`], tls: { ca: files.ca } })
  // By its name: the address that the name leads to would have to be in the certificate otherwise.
  await works(test, { cluster: [`localhost:${tlsPort}`], tls: { ca: files.ca } })
  await works(test, { cluster: [`localhost:${tlsPort}`], tls: { ca: files.ca, servername: 'origin.test' } })
  await refuses(test, { cluster: [`127.0.0.1:${tlsPort}`], tls: { ca: files.strange } }, /^Redis is not used: its certificate is of an authority that is not trusted/)
})

t.test('files that are no certificates are reported at the start', (test) => {
  const tls = (settings: Settings) => (): unknown =>
    redisTls(resolveConfig({ origins: { api: { servers: ['http://h'] } }, redis: { url: 'rediss://h', tls: settings } }).redis ?? { tls: undefined } as never)
  test.throws(tls({ ca: files.empty }), { message: `redis.tls.ca: ${files.empty} holds no certificate in PEM` })
  test.throws(tls({ cert: files.ca, key: files.strangeKey }), { message: /^redis\.tls\.key: \S+strange-key\.pem does not belong to the certificate in \S+ca\.pem/ })
  test.throws(tls({ cert: files.empty, key: files.key }), { message: /^redis\.tls\.cert: / })
  test.match(tls({ ca: files.ca, servername: 'origin.test' })(), { ca: testCertificate, servername: 'origin.test', rejectUnauthorized: true })
  test.end()
})
