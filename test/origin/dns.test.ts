// A host name with several addresses: each address is a server, and changes of the name are followed.
import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import tap, { type Test } from 'tap'
import type { ResolveHost } from '../../src/origin/dns.ts'
import type { OriginConfig } from '../../src/origin/config.ts'
import type { Origins } from '../../src/origin/origin.ts'
import { createOrigins } from '../../src/origin/origins.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { startOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'
import { fetchFrom, handClock, patience, silent } from './origins-under-test.ts'

/** A resolver whose result a test sets. */
class ScriptedNames {
  addresses: readonly string[] | Error
  asked: string[] = []
  #next: (() => void)[] = []

  constructor(...first: string[]) {
    this.addresses = first
  }

  readonly resolve: ResolveHost = async (host) => {
    this.asked.push(host)
    for (const heard of this.#next.splice(0)) heard()
    if (this.addresses instanceof Error) throw this.addresses
    return this.addresses
  }

  /** Resolves at the next lookup. */
  async askedAgain(): Promise<void> {
    await new Promise<void>((resolve) => this.#next.push(resolve))
  }
}

/** Backends on 127.0.0.2, .3, …, all on one port; each responds with its address. */
async function backends(t: Test, count: number): Promise<{ port: number; at: ScriptedOrigin[] }> {
  for (let attempt = 1;; attempt++) {
    const at: ScriptedOrigin[] = []
    try {
      for (let i = 0; i < count; i++) {
        const host = `127.0.0.${i + 2}`
        const [first] = at
        at.push(await startOrigin((_request, response) => response.end(host), first === undefined ? { host } : { host, port: first.port }))
      }
    } catch (error) {
      // The port is free on the first address, not on the others.
      for (const origin of at) await origin.close()
      if (attempt < 5) continue
      throw error
    }
    t.teardown(async () => {
      for (const origin of at) await origin.close()
    })
    return { port: at[0]?.port ?? 0, at }
  }
}

function named(t: Test, names: ScriptedNames, port: number, config: Partial<OriginConfig> = {}, clock = handClock(), resolveEveryMs = 5): Origins {
  const origins = createOrigins({
    origins: { api: { ...patience, servers: [`http://backend.test:${port}`], ...config } },
    clock,
    logger: silent,
    resolve: names.resolve,
    resolveEveryMs,
  })
  t.teardown(() => origins.close())
  return origins
}

function addresses(origins: Origins): (string | undefined)[] {
  return origins.status().map(({ address }) => address)
}

/** Waits until the pool has these addresses. */
async function known(origins: Origins, names: ScriptedNames, ...expected: string[]): Promise<void> {
  while (addresses(origins).join() !== expected.join()) await names.askedAgain()
}

async function bodies(origins: Origins, count: number): Promise<string[]> {
  const seen: string[] = []
  for (let i = 0; i < count; i++) seen.push((await fetchFrom(origins)).body.toString())
  return seen
}

for (const balance of ['round-robin', 'least-pending'] as const) {
  tap.test(`requests reach every address of a name, ${balance}, with the client's Host`, async (t) => {
    const { port, at } = await backends(t, 4)
    const names = new ScriptedNames('127.0.0.4', '127.0.0.2', '127.0.0.5', '127.0.0.3')
    const origins = named(t, names, port, { balance })
    await known(origins, names, '127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5')
    await bodies(origins, 8)
    t.strictSame(at.map(({ requests }) => requests.length), [2, 2, 2, 2])
    t.equal(at[2]?.requests[0]?.header('host'), 'api.example.com')
    t.match(names.asked, ['backend.test'])
    t.match(origins.status()[0], { origin: 'api', url: `http://backend.test:${port}`, address: '127.0.0.2', healthy: true, pending: 0 })
  })
}

tap.test('an address and localhost are not resolved', async (t) => {
  const { port } = await backends(t, 1)
  const names = new ScriptedNames()
  const origins = named(t, names, port, { servers: [`http://127.0.0.2:${port}`, `http://localhost:${port}`, `http://[::1]:${port}`] })
  t.strictSame(addresses(origins), [undefined, undefined, undefined])
  t.equal((await bodies(origins, 1))[0], '127.0.0.2')
  t.strictSame(names.asked, [])
})

tap.test('a new address is taken up, and one that stays keeps its record', async (t) => {
  const { port, at } = await backends(t, 2)
  await at[0]?.close()
  const names = new ScriptedNames('127.0.0.2')
  const origins = named(t, names, port, { retries: 0 })
  await known(origins, names, '127.0.0.2')
  for (let i = 0; i < 3; i++) await fetchFrom(origins)
  t.equal(origins.status()[0]?.healthy, false)
  names.addresses = ['127.0.0.3', '127.0.0.2']
  await known(origins, names, '127.0.0.2', '127.0.0.3')
  t.strictSame(origins.status().map(({ healthy }) => healthy), [false, true])
  t.strictSame(await bodies(origins, 3), ['127.0.0.3', '127.0.0.3', '127.0.0.3'])
})

tap.test('an address that left DNS finishes its requests in flight, and gets no new ones', async (t) => {
  const { port, at } = await backends(t, 2)
  let finish: () => void = () => undefined
  const slow = await startOrigin((_request, response) => {
    response.write('begun ')
    finish = () => response.end('and done')
  }, { host: '127.0.0.4', port })
  t.teardown(() => slow.close())
  const names = new ScriptedNames('127.0.0.4')
  const origins = named(t, names, port, { maxConnections: 1 })
  await known(origins, names, '127.0.0.4')
  const [underWay, waiting] = [fetchFrom(origins), fetchFrom(origins)]
  await slow.nth(1)
  names.addresses = ['127.0.0.2', '127.0.0.3']
  await known(origins, names, '127.0.0.2', '127.0.0.3')
  t.strictSame(await bodies(origins, 4), ['127.0.0.2', '127.0.0.3', '127.0.0.2', '127.0.0.3'])
  finish()
  t.equal((await underWay).body.toString(), 'begun and done')
  await slow.nth(2)
  finish()
  t.equal((await waiting).body.toString(), 'begun and done', 'also what waited for a connection to it')
  await bodies(origins, 4)
  t.equal(slow.requests.length, 2)
  t.equal(at[0]?.requests.length, 4)
})

tap.test('connections to an address that has vanished are closed when they have nothing to do', async (t) => {
  const { port, at } = await backends(t, 2)
  const names = new ScriptedNames('127.0.0.2', '127.0.0.3')
  const closed = new Promise<void>((resolve) => {
    void at[0]?.nth(1).then(({ socket }) => socket.once('close', () => resolve()))
  })
  const origins = named(t, names, port)
  await known(origins, names, '127.0.0.2', '127.0.0.3')
  await bodies(origins, 2)
  names.addresses = ['127.0.0.3']
  await t.resolves(closed)
})

tap.test('a name that cannot be resolved any more, or has no address, keeps the addresses it had', async (t) => {
  const { port } = await backends(t, 2)
  const names = new ScriptedNames('127.0.0.2', '127.0.0.3')
  const origins = named(t, names, port)
  await known(origins, names, '127.0.0.2', '127.0.0.3')
  for (const nothing of [new Error('out of order'), []]) {
    names.addresses = nothing
    for (let i = 0; i < 3; i++) await names.askedAgain()
    t.strictSame((await bodies(origins, 4)).sort(), ['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3'])
  }
  names.addresses = ['127.0.0.3']
  await known(origins, names, '127.0.0.3')
})

tap.test('when a server fails its name is resolved before its time, but not all the time', async (t) => {
  const { port, at } = await backends(t, 2)
  const names = new ScriptedNames('127.0.0.2')
  const clock = handClock()
  const origins = named(t, names, port, { retries: 0 }, clock, 3_600_000)
  while (addresses(origins)[0] === undefined) await fetchFrom(origins)
  await at[0]?.close()
  // There may be a connection from before, which only shows that it is closed.
  await fetchFrom(origins)
  names.addresses = ['127.0.0.3']
  for (let i = 0; i < 5; i++) t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_REFUSED')
  t.equal(names.asked.length, 1)
  clock.advance(100)
  t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_REFUSED')
  t.equal(names.asked.length, 2)
  t.equal((await fetchFrom(origins)).body.toString(), '127.0.0.3')
})

tap.test('until its name is first resolved, a server is used by name', async (t) => {
  const { port } = await backends(t, 1)
  const names = new ScriptedNames()
  const origins = named(t, names, port, { servers: [`http://no-such-host.invalid:${port}`] })
  t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_DNS')
  names.addresses = ['127.0.0.2']
  await known(origins, names, '127.0.0.2')
  t.equal((await fetchFrom(origins)).body.toString(), '127.0.0.2')
})

tap.test('when one of two addresses is killed no GET is lost', async (t) => {
  const { port, at } = await backends(t, 2)
  const names = new ScriptedNames('127.0.0.2', '127.0.0.3')
  const origins = named(t, names, port, { balance: 'least-pending' })
  await known(origins, names, '127.0.0.2', '127.0.0.3')
  const seen: string[] = []
  const run = new AbortController()
  const clients = Array.from({ length: 8 }, async () => {
    while (!run.signal.aborted) {
      const { body, error } = await fetchFrom(origins)
      seen.push(error?.code ?? body.toString())
    }
  })
  await at[0]?.nth(50)
  await at[0]?.close()
  const before = at[1]?.requests.length ?? 0
  await at[1]?.nth(before + 200)
  run.abort()
  await Promise.all(clients)
  t.strictSame([...new Set(seen)].sort(), ['127.0.0.2', '127.0.0.3'])
  t.equal(origins.status()[0]?.healthy, false)
})

tap.test('each address has its own health checks', async (t) => {
  const { port, at } = await backends(t, 2)
  const names = new ScriptedNames('127.0.0.2', '127.0.0.3')
  const origins = named(t, names, port, { health: { path: '/healthz', intervalMs: 5 } })
  await known(origins, names, '127.0.0.2', '127.0.0.3')
  await at[0]?.nth(2)
  await at[1]?.nth(2)
  await at[0]?.close()
  while (origins.status()[0]?.healthy === true) await at[1]?.nth(at[1].requests.length + 1)
  t.strictSame(origins.status().map(({ healthy }) => healthy), [false, true])
})

tap.test('TLS is verified against the name, not against the address', async (t) => {
  const asked: unknown[] = []
  const server = createTlsServer({ cert: testCertificate, key: testKey }, (request, response) => {
    asked.push((request.socket as TLSSocket & { servername: string | false }).servername)
    response.end('sealed')
  })
  server.listen(0, '127.0.0.2')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  for (const [host, expected] of [['origin.test', 'sealed'], ['else.test', 'ORIGIN_CERTIFICATE']] as const) {
    const names = new ScriptedNames('127.0.0.2')
    const origins = named(t, names, port, { servers: [`https://${host}:${port}`], tls: { ca: testCertificate } })
    await known(origins, names, '127.0.0.2')
    const { body, error } = await fetchFrom(origins)
    t.equal(error?.code ?? body.toString(), expected)
  }
  t.strictSame(asked, ['origin.test'])
})
