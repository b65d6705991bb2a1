import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import tap from 'tap'
import { testCertificate, testKey } from '../support/certificate.ts'
import { fetchFrom, originsOf } from './origins-under-test.ts'

tap.test('TLS to an origin is verified, against the name that the configuration knows', async (t) => {
  const names: (string | false | null)[] = []
  let connections = 0
  const server = createServer({ cert: testCertificate, key: testKey }, (request, response) => {
    names.push((request.socket as TLSSocket & { servername: string | false }).servername)
    response.end('sealed')
  })
  server.on('secureConnection', () => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())

  async function outcome(url: string, tls?: { ca?: string; servername?: string; rejectUnauthorized?: boolean }): Promise<string> {
    const origins = originsOf({ servers: [url], ...(tls === undefined ? {} : { tls }) })
    // Two, with the Host of two clients: neither may change what is verified, nor cost a new handshake.
    const first = await fetchFrom(origins, { fields: ['host', 'a.example'] })
    const second = await fetchFrom(origins, { fields: ['host', 'b.example'] })
    await origins.close()
    t.equal(second.error?.code, first.error?.code)
    return first.error?.code ?? first.body.toString()
  }

  t.equal(await outcome(`https://127.0.0.1:${port}`), 'ORIGIN_CERTIFICATE', 'nobody vouches for it')
  t.equal(await outcome(`https://127.0.0.1:${port}`, { ca: testCertificate, servername: 'else.test' }), 'ORIGIN_CERTIFICATE', 'it is somebody else')
  connections = 0
  t.equal(await outcome(`https://127.0.0.1:${port}`, { ca: testCertificate }), 'sealed', 'by address')
  t.equal(connections, 1)
  t.equal(await outcome(`https://127.0.0.1:${port}`, { ca: testCertificate, servername: 'origin.test' }), 'sealed', 'by the configured name')
  t.equal(await outcome(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }), 'sealed', 'when the operator says so')
  t.strictSame(names, [false, false, 'origin.test', 'origin.test', false, false])
})
