// The certificates of the listener: by name, renewed while it runs; and the HTTP listener that redirects to HTTPS.
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { namesCertificate, namesKey, strangeCertificate, strangeKey, testCertificate, testKey } from '../support/certificate.ts'
import { ask, rawRequest } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { adminSettings, startProxy, type TestProxy } from '../support/proxy.ts'

const folder = mkdtempSync(join(tmpdir(), 'springhouse-certificates-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function pair(name: string, cert: string, key: string): { cert: string; key: string } {
  const files = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
  writeFileSync(files.cert, cert)
  writeFileSync(files.key, key)
  return files
}

const own = pair('own', testCertificate, testKey)
const names = pair('names', namesCertificate, namesKey)
const proxyWith = (tls: object, more: object = {}) => ({ host: '127.0.0.1', port: 0, tls, ...more })
const start = (tap: Parameters<typeof startProxy>[0], proxy: object): Promise<TestProxy> => startProxy(tap, { origin: (_, response) => response.end('ok'), config: { proxy } })

/** The common name of the certificate that a client gets, and the protocol of ALPN. */
function presented(port: number, servername?: string, protocols: string[] = []): Promise<{ name: string; alpn: string | false | null }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: protocols, ...(servername !== undefined && { servername }) }, () => {
      resolve({ name: String(socket.getPeerCertificate().subject?.CN).replace('springhouse ', ''), alpn: socket.alpnProtocol })
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

// Fails without `SNICallback` in http1.ts.
t.test('a client gets the certificate of the name that it requests: exact, then a wildcard for one label', async t => {
  const { port } = await start(t, proxyWith({ ...own, certificates: [names] }))
  for (const [name, certificate] of [['shop.example', 'names'], ['SHOP.example', 'names'], ['www.shop.example', 'names'], ['a.b.shop.example', 'test'], ['other.example', 'test'], [
    'origin.test',
    'test',
  ], [undefined, 'test']] as const) t.equal((await presented(port, name)).name, certificate, name ?? 'no name')
  const listed = await start(t, proxyWith({ certificates: [names, own] }))
  t.equal((await presented(listed.port, 'localhost')).name, 'test')
  t.equal((await presented(listed.port)).name, 'names', 'the first one is the default')
})

t.test('a client that names http/1.0 by ALPN gets a connection, over which HTTP/1.0 works', async t => {
  for (const http2 of [true, false]) {
    const { port } = await start(t, proxyWith({ ...own, http2 }))
    t.equal((await presented(port, undefined, ['http/1.0'])).alpn, 'http/1.0')
    t.equal((await presented(port, undefined, ['http/1.0', 'http/1.1'])).alpn, 'http/1.1')
    await t.rejects(presented(port, undefined, ['spdy/3']), /no.application.protocol/i)
    const answer = await new Promise<string>((resolve, reject) => {
      let text = ''
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.0'] }, () => socket.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n'))
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk
      })
      socket.on('end', () => resolve(text)).on('error', reject)
    })
    t.match(answer, /^HTTP\/1\.1 200 [^]*\r\n\r\nok$/)
  }
})

// Fails without `watchFiles`. A link is replaced, as Kubernetes and certbot do it; then a pair that does not fit; then it does.
t.test('renewed files are taken up without a signal, and files that cannot be used leave the running ones', async t => {
  const link = { cert: join(folder, 'link.pem'), key: join(folder, 'link.key') }
  symlinkSync(own.cert, link.cert)
  symlinkSync(own.key, link.key)
  const to = (cert: string, key: string): void => {
    for (const [name, file] of [[link.cert, cert], [link.key, key]] as const) {
      symlinkSync(file, `${name}.new`)
      renameSync(`${name}.new`, name)
    }
  }
  const house = await start(t, proxyWith(link))
  const idle = connectTcp(house.port, '127.0.0.1')
  t.teardown(async () => idle.destroy())
  const other = pair('other', strangeCertificate, strangeKey)
  to(other.cert, other.key)
  await eventually(async () => (await presented(house.port)).name === 'stranger')
  t.equal((await presented(house.port, 'localhost')).name, 'stranger', 'the old one is gone from the names too')
  to(own.cert, other.key)
  await eventually(() => house.log.some(({ level, msg }) => level === 50 && /cannot be used; the running certificates stay in force/.test(msg)))
  t.equal((await presented(house.port)).name, 'stranger')
  to(own.cert, own.key)
  await eventually(async () => (await presented(house.port)).name === 'test')
  t.notOk(idle.destroyed, 'connections stay')
})

t.test('a reload takes up other files and further certificates', async t => {
  const house = await start(t, proxyWith(own))
  const next = (tls: object) => resolveConfig({ proxy: proxyWith(tls), admin: adminSettings, origins: { api: { servers: [house.origin.url] } } })
  await house.app.reload(next({ ...own, certificates: [names] }))
  t.equal((await presented(house.port, 'shop.example')).name, 'names')
  await house.app.reload(next({ certificates: [names] }))
  t.equal((await presented(house.port)).name, 'names')
  t.notMatch(house.log.map(({ msg }) => msg).join(), /wait for the next start/)
})

// Fails without redirect.ts.
t.test('the HTTP listener redirects every request to HTTPS, byte for byte', async t => {
  const house = await start(t, proxyWith(own, { redirectPort: 0 }))
  const port = Number(new URL(house.app.redirectUrl as string).port)
  const to = async (path: string, host: string, method = 'GET') => {
    const { status, header } = await ask(port, { path, headers: ['Host', host], method })
    return [status, header('location')]
  }
  t.same(await to('/a%2Fb?c=d&e', 'shop.example'), [301, 'https://shop.example/a%2Fb?c=d&e'], 'mapped ports')
  t.same(await to('/', `shop.example:${port}`), [301, `https://shop.example:${house.port}/`])
  t.same(await to('/x', '[::1]:80', 'HEAD'), [301, `https://[::1]:${house.port}/x`])
  t.same(await to('/x', 'shop.example', 'POST'), [308, 'https://shop.example/x'])
  t.match(await rawRequest(port, 'GET http://shop.example/y HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 301 [^]*location: https:\/\/shop\.example\/y\r\n/)
  for (const bad of ['GET / HTTP/1.0\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
    'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 'GET / HTTP/1.1\r\nHost:\r\n\r\n']) t.match(await rawRequest(port, bad), /^HTTP\/1\.1 400 /, bad)
  t.equal(house.origin.requests.length, 0)
})

t.test('a missing certificate and a port in use by another listener are a line each', async t => {
  const wrong = (proxy: object): string => {
    try {
      resolveConfig({ proxy, origins: { api: { servers: ['http://127.0.0.1:1'] } } })
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  t.equal(wrong({ tls: {} }), 'proxy.tls: no certificate is given; give cert and key, or certificates')
  t.match(wrong({ tls: { cert: own.cert } }), /^proxy\.tls\.key: missing; proxy\.tls\.cert is given and needs its key$/)
  t.match(wrong({ tls: { certificates: [{ cert: names.cert, key: own.key }] } }), /^proxy\.tls\.certificates\[0\]\.key: .* does not belong to the certificate/)
  t.equal(wrong({ redirectPort: 80 }), 'proxy.redirectPort: given without proxy.tls, so there is no HTTPS to redirect to')
  t.match(wrong({ tls: own, redirectPort: 8080 }), /also the port of the proxy listener/)
  t.match(wrong({ tls: own, redirectPort: 8081 }), /also the port of the admin listener/)
  t.match(wrong({ tls: { ...own, minVersion: 'TLSv1.1' } }), /expected one of TLSv1\.2, TLSv1\.3/)
})
