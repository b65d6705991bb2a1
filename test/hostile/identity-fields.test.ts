// Fields in which an authenticating proxy names the user: no client can set one, and a trusted proxy's are in the key.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { identityFields, identityPrefixes } from '../../src/forwarding/untrusted-fields.ts'
import { ask, rawRequest, type Answer } from '../support/client.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

const mirror: OriginHandler = (request, response) => {
  response.writeHead(200, { 'Cache-Control': 'max-age=600' })
  response.end(`${request.method} ${request.url}\n${request.rawHeaders.join('\n')}`)
}

function send(house: TestProxy, path: string, fields: readonly string[], method = 'GET'): Promise<Answer> {
  return ask(house.port, { path, method, headers: ['Host', 'h', ...fields] })
}

/** Each listed name, and one for each prefix. */
const names = [
  ...identityFields,
  ...identityPrefixes.map((prefix) => `${prefix}user`),
  'Remote-User',
  'X-Remote-User',
  'X-Remote-Group',
  'X-Remote-Extra-Scopes',
  'X-Auth-Request-User',
  'X-Auth-Request-Email',
  'X-Auth-Request-Access-Token',
  'X-SSL-Client-Cert',
  'X-SSL-Client-S-DN',
  'X-SSL-Client-Verify',
  'X-Client-Cert',
  'Client-Cert',
  'Client-Cert-Chain',
  'X-MS-CLIENT-PRINCIPAL',
  'X-MS-CLIENT-PRINCIPAL-NAME',
  'X-Amzn-Mtls-Clientcert-Subject',
  'X-Amzn-Oidc-Identity',
  'X-Goog-Authenticated-User-Email',
  'Tailscale-User-Login',
  'X-Forwarded-User',
  'X-Forwarded-Client-Cert',
]

// The guard: identityFields and identityPrefixes in isUntrustedField.
t.test('a client cannot name itself: no such field reaches an origin, however it is written', async (t) => {
  const house = await startProxy(t, { origin: mirror })
  let number = 0
  for (const name of names) {
    for (const written of new Set([name, name.toUpperCase(), name.replaceAll('-', '_'), name.replaceAll('-', '.')])) {
      const path = `/${++number}`
      t.notMatch(String((await send(house, path, [written, 'admin'])).body), /admin/, written)
      t.notMatch(String((await send(house, path, [written, 'admin'], 'POST')).body), /admin/, `${written}, passed`)
    }
  }
  await rawRequest(house.port,
    'GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nRemote-User: admin\r\n\r\n')
  t.equal(house.origin.requests.at(-1)?.target, '/socket')
  t.equal(house.origin.requests.at(-1)?.header('remote-user'), undefined)
})

t.test('a trusted proxy may name the user, and users share no response', async (t) => {
  const house = await startProxy(t, { origin: mirror, config: { proxy: { host: '127.0.0.1', port: 0, trustProxy: ['127.0.0.1'] } } })
  for (const name of names) {
    t.match(String((await send(house, `/${name}`, [name, 'alice'])).body), /alice/, name)
    t.match(String((await send(house, `/${name}`, [name, 'robert'])).body), /robert/, name)
    t.notMatch(String((await send(house, `/${name}`, [])).body), /alice|robert/, name)
  }
})

t.test('fields that clients send themselves, and signed assertions, are forwarded', async (t) => {
  const house = await startProxy(t, { origin: mirror })
  for (const name of ['X-Api-Key', 'X-Auth-Token', 'X-User-Id', 'X-Goog-IAP-JWT-Assertion', 'CF-Access-JWT-Assertion', 'Authorization', 'X-Client-Version', 'X-Client-Id'])
    t.match(String((await send(house, `/${name}`, [name, 'mine'], 'POST')).body), /mine/, name)
})

t.test('docs/security.md lists each of them', async (t) => {
  const page = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8').toLowerCase().replaceAll('_', '-')
  const [, table = ''] = /## fields that name a user\n([^]*?)\n## /.exec(page) ?? []
  for (const prefix of identityPrefixes) t.match(table, new RegExp(`\`${prefix}`), prefix)
  for (const name of identityFields) {
    // `-UserId` stands behind `X-Authenticated-User`.
    const short = name.replace(/^x-authenticated/, '')
    t.ok(table.includes(`\`${name}\``) || (short !== name && table.includes(`\`${short}\``)), name)
  }
})
