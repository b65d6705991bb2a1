// Probes of Redis: the servers that are contacted, the user, and the time limits.
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import type { Test } from 'tap'
import { startApp } from '../../../src/app.ts'
import { resolveConfig } from '../../../src/config/load.ts'
import { strangeCertificate, strangeKey, testCertificate, testKey } from '../../support/certificate.ts'
import { eventually } from '../../support/log.ts'
import { startRedis } from '../../support/redis.ts'
import { each, raced, type Options, type Probe, type Settings } from './probe.ts'
import { startRespRecorder, type RespRecorder } from './resp-recorder.ts'

/** Nothing waits for a server that is none. */
const brief: Settings = { 'redis.connectTimeoutMs': '50ms', 'redis.commandTimeoutMs': '50ms' }

/** A handshake of TLS takes longer on a busy machine. A timeout would pass for a refusal. */
const briefOverTls: Settings = { 'redis.connectTimeoutMs': '600ms', 'redis.commandTimeoutMs': '600ms' }

const two = async (t: Test, secure = false): Promise<readonly [RespRecorder, RespRecorder]> => [await startRespRecorder(t, secure), await startRespRecorder(t, secure)]

/** Which of two servers is contacted. */
const contacted = (address: (port: number) => unknown, others: Settings = {}): Probe => async (t, path) => {
  const servers = await two(t)
  return each({
    values: [address(servers[0].port), address(servers[1].port)],
    with: { ...brief, ...others },
    expected: [[true, false], [true, true]],
    see: async ({ index }) => {
      await eventually(() => servers[index].commands.length > 0)
      return servers.map(({ commands }) => commands.length > 0)
    },
  })(t, path)
}

/** Observes the first command of a kind that a server receives. */
const told = (settings: (port: number) => Settings, values: readonly [unknown, unknown], command: RegExp, expected: readonly [unknown, unknown]): Probe => async (t, path) => {
  const servers = await two(t)
  return each({
    values,
    expected,
    with: (index) => ({ ...brief, ...settings(servers[index].port) }),
    see: async ({ index }) => {
      const find = (): string | undefined => servers[index].commands.map((words) => words.join(' ')).find((words) => command.test(words))
      await eventually(() => find() !== undefined)
      return find()
    },
  })(t, path)
}

const single = (port: number): Settings => ({ 'redis.url': `redis://127.0.0.1:${port}` })
const watched = (port: number): Settings => ({ 'redis.sentinel.master': 'mymaster', 'redis.sentinel.nodes': [`127.0.0.1:${port}`] })

const files = (t: Test, texts: Readonly<Record<string, string>>): (name: string) => string => {
  const folder = t.testdir(texts)
  return (name) => `${folder}/${name}`
}

/** Observes TLS, by a server that requests a certificate. */
const overTls =
  (options: (t: Test) => { readonly values: Options['values']; readonly with?: Settings }, expected: readonly [unknown, unknown], look: (server: RespRecorder) => unknown): Probe =>
  async (t, path) => {
    const { values, with: others } = options(t)
    const servers = await two(t, true)
    return each({
      values,
      expected,
      with: (index) => ({ ...briefOverTls, 'redis.url': `rediss://127.0.0.1:${servers[index].port}`, ...others }),
      see: async ({ index }) => {
        const server = servers[index]
        await eventually(() => server.commands.length > 0 || server.ended > 0)
        return look(server)
      },
    })(t, path)
  }

const believed = ({ commands }: RespRecorder): boolean => commands.length > 0
const fingerprint = (certificate: string): string => new X509Certificate(certificate).fingerprint256
const pair = { 'cert.pem': testCertificate, 'key.pem': testKey, 'other-cert.pem': strangeCertificate, 'other-key.pem': strangeKey }

export const redis: Readonly<Record<string, Probe>> = {
  'redis.url': contacted((port) => `redis://127.0.0.1:${port}`),
  'redis.urlFile': (t, path) => {
    const folder = t.testdir({ a: '', b: '' })
    let next = 0
    return contacted((port) => {
      const file = `${folder}/${next++}`
      writeFileSync(file, `redis://127.0.0.1:${port}\n`)
      return file
    })(t, path)
  },
  'redis.cluster': contacted((port) => [`127.0.0.1:${port}`]),
  'redis.sentinel.nodes': contacted((port) => [`127.0.0.1:${port}`], { 'redis.sentinel.master': 'mymaster' }),
  'redis.sentinel.master': told(watched, ['mymaster', 'other'], /get-master-addr-by-name/i, ['sentinel get-master-addr-by-name mymaster',
    'sentinel get-master-addr-by-name other']),
  'redis.sentinel.username': told((port) => ({ ...watched(port), 'redis.sentinel.password': 'secret' }), ['a', 'b'], /auth/i, ['hello 3 AUTH a secret', 'hello 3 AUTH b secret']),
  'redis.sentinel.password': told(watched, ['a', 'b'], /auth/i, ['hello 3 AUTH default a', 'hello 3 AUTH default b']),
  'redis.sentinel.passwordFile': (t, path) => {
    const file = files(t, { a: 'a\n', b: 'b\n' })
    return told(watched, [file('a'), file('b')], /auth/i, ['hello 3 AUTH default a', 'hello 3 AUTH default b'])(t, path)
  },
  'redis.username': told((port) => ({ ...single(port), 'redis.password': 'secret' }), ['a', 'b'], /auth/i, ['hello 3 AUTH a secret', 'hello 3 AUTH b secret']),
  'redis.password': told(single, ['a', 'b'], /auth/i, ['hello 3 AUTH default a', 'hello 3 AUTH default b']),
  'redis.passwordFile': (t, path) => {
    const file = files(t, { a: 'a\n', b: 'b\n' })
    return told(single, [file('a'), file('b')], /auth/i, ['hello 3 AUTH default a', 'hello 3 AUTH default b'])(t, path)
  },
  'redis.tls.ca': overTls((t) => {
    const file = files(t, pair)
    return { values: [file('cert.pem'), file('other-cert.pem')] }
  }, [true, false], believed),
  'redis.tls.rejectUnauthorized': overTls(() => ({ values: [true, false] }), [false, true], believed),
  'redis.tls.servername': overTls(() => ({ values: ['a.example', 'b.example'], with: { 'redis.tls.rejectUnauthorized': false } }), ['a.example', 'b.example'],
    ({ tls }) => tls.at(-1)?.servername),
  'redis.tls.cert': overTls((t) => {
    const file = files(t, pair)
    return { values: [file('cert.pem'), file('other-cert.pem')], with: { 'redis.tls.key': file('key.pem'), 'redis.tls.rejectUnauthorized': false } }
  }, [fingerprint(testCertificate), 'refused'], ({ tls }) => tls.at(-1)?.client),
  'redis.tls.key': overTls((t) => {
    const file = files(t, pair)
    return { values: [file('key.pem'), file('other-key.pem')], with: { 'redis.tls.cert': file('cert.pem'), 'redis.tls.rejectUnauthorized': false } }
  }, [fingerprint(testCertificate), 'refused'], ({ tls }) => tls.at(-1)?.client),
  // A server that takes connections and says nothing: how long a start waits for it.
  'redis.connectTimeoutMs': async (t) => {
    const server = createServer((socket) => socket.on('error', () => {}))
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const sockets = new Set<Socket>()
    server.on('connection', (socket) => sockets.add(socket))
    const config = (connectTimeoutMs: string) =>
      resolveConfig({
        proxy: { host: '127.0.0.1', port: 0 },
        admin: { host: '127.0.0.1', port: 0 },
        origins: { api: { servers: ['http://127.0.0.1:9'] } },
        redis: { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, connectTimeoutMs, commandTimeoutMs: '1m' },
      })
    let before = 'waits'
    const logger = pino({ level: 'silent' })
    const first = startApp({ config: config('1m'), logger })
    void first.then(() => {
      before = 'started'
    })
    const second = await startApp({ config: config('50ms'), logger })
    const seen = [before, 'started'] as const
    for (const socket of sockets) socket.destroy()
    server.close()
    await Promise.all([second.close(), (await first).close()])
    t.pass('and both are closed')
    return { seen, expected: ['waits', 'started'] }
  },
  // Redis hangs once it has been used.
  'redis.commandTimeoutMs': async (t, path) => {
    const server = await startRedis()
    t.teardown(() => server.stop())
    let hangs: Promise<void> | undefined
    let ready = 0
    return raced({
      values: ['1m', '1s'],
      with: { 'redis.url': server.url },
      ends: 200,
      see: async (house) => {
        ready++
        hangs ??= eventually(() => ready === 2).then(() => server.kill('SIGSTOP'))
        await hangs
        const { status } = await house.get('/')
        // The first would wait for it as it stops.
        if (house.index === 1) server.kill('SIGCONT')
        return status
      },
    })(t, path)
  },
  'redis.keyPrefix': async (t, path) => {
    const server = await startRedis()
    t.teardown(() => server.stop())
    const client = new Redis(server.url)
    t.teardown(() => client.disconnect())
    return each({
      values: ['sh', 'other'],
      with: { 'redis.url': server.url, 'redis.commandTimeoutMs': '10s' },
      expected: [['sh'], ['other', 'sh']],
      see: async (house) => {
        await house.get('/')
        await eventually(async () => (await client.keys(`${String(house.value)}:*`)).length > 0)
        return [...new Set((await client.keys('*')).map((key) => key.split(':')[0]))].toSorted()
      },
    })(t, path)
  },
}
