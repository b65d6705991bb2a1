// A field that one client slips past a trusted proxy shows in no response to another: promises 6 and 7 of docs/security.md.
import t from 'tap'
import { isAddressList } from '../../src/forwarding/forwarded.ts'
import { ask, type Answer } from '../support/client.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

/** An application that shows everything it is sent, as one that builds links from fields would. */
const mirror: OriginHandler = (request, response) => {
  response.writeHead(200, { 'Cache-Control': 'max-age=600' })
  response.end(`${request.method} ${request.url}\n${request.rawHeaders.join('\n')}`)
}

const balanced = { proxy: { host: '127.0.0.1', port: 0, trustProxy: ['127.0.0.1'] } }

function send(house: TestProxy, path: string, fields: readonly string[], method = 'GET'): Promise<Answer> {
  return ask(house.port, { path, method, headers: ['Host', 'h', ...fields] })
}

/** Values of a field that should hold addresses, each with `evil.example` where some reader finds it. */
const notAddresses: readonly string[] = [
  'evil.example',
  '1.2.3.4 host=evil.example',
  '1.2.3.4\thost=evil.example',
  '1.2.3.4;host=evil.example',
  '1.2.3.4, evil.example',
  'evil.example, 1.2.3.4',
  '1.2.3.4,,evil.example',
  '1.2.3.4:evil.example',
  '"1.2.3.4;host=evil.example"',
  '"evil.example',
  'fe80::1%evil.example',
  '[fe80::1%evil.example]',
  '[::1]evil.example',
  'unknown evil.example',
  '_evil.example',
  '<script src=//evil.example>',
  '1.2.3.4\xa0evil.example',
  'for=1.2.3.4;host=evil.example',
]

const addressFields: readonly string[] = [
  'X-Forwarded-For',
  'X-Real-IP',
  'X-Client-IP',
  'Client-IP',
  'True-Client-IP',
  'CF-Connecting-IP',
  'Fastly-Client-IP',
  'X-Cluster-Client-IP',
  'Forwarded-For',
  'X-Original-Forwarded-For',
  'X-Remote-Addr',
  'X-Envoy-External-Address',
  'X-Azure-ClientIP',
]

// The guard is `isAddressList` in forwarding/trusted-fields.ts.
t.test('a field that should hold addresses is out of the key only if it holds nothing else', async tap => {
  const house = await startProxy(tap, { origin: mirror, config: balanced })
  let number = 0
  for (const name of addressFields) {
    for (const value of notAddresses) {
      const path = `/address/${++number}`
      await send(house, path, [name, value])
      for (const victim of [[], [name, '1.2.3.4'], [name, '1.2.3.4', name, '5.6.7.8']]) {
        tap.notMatch(String((await send(house, path, victim)).body), /evil/, `${name}: ${value}, then ${victim.join()}`)
      }
    }
    const path = `/shared/${name}`
    await send(house, path, [])
    for (const value of ['1.2.3.4', '5.6.7.8, ::1', '[2001:db8::1]:443', 'unknown', '1.2.3.4:80,\t5.6.7.8']) {
      tap.equal(detail(await send(house, path, [name, value])), 'fresh', `${name}: ${value}`)
    }
  }
})

// RFC 7239 §6.3: an obfuscated identifier. Its letters, digits, dots, dashes and underscores can name no other parameter.
const notNodes = notAddresses.filter(value => value !== '_evil.example')

/** Forwarded from a client, each with `evil.example` where some reader finds it. */
const oddForwarded: readonly (readonly string[])[] = [
  ...notNodes.map(value => [`for=${value}`]),
  ...notNodes.map(value => [`for="${value.replaceAll('"', '\\"')}"`]),
  ...notNodes.map(value => [`by=${value}`]),
  ['for=1.2.3.4 host=evil.example'],
  ['for=1.2.3.4\thost=evil.example'],
  ['for=1.2.3.4  host=evil.example'],
  ['for=1.2.3.4 ;host=evil.example'],
  ['for=1.2.3.4;host=evil.example'],
  ['For=1.2.3.4;HOST=evil.example'],
  ['for=1.2.3.4; host = evil.example'],
  ['host=evil.example'],
  ['host=evil.example;for=1.2.3.4'],
  ['host="evil.example"'],
  ['for="1.2.3.4;host=evil.example'],
  ['for="1.2.3.4\\";host=evil.example'],
  ['for="1.2.3.4", host=evil.example'],
  ['for="1.2.3.4";for="x;host=evil.example"'],
  ['for=_x;host=evil.example'],
  ['for=_x host=evil.example'],
  ['for="_x host=evil.example"'],
  ['for=unknown host=evil.example'],
  ['for=1.2.3.4;proto=evil.example'],
  ['for=1.2.3.4;secret=evil.example'],
  ['for=1.2.3.4;x-host=evil.example'],
  ['for=1.2.3.4;xhost=evil.example'],
  ['for=1.2.3.4;host*=evil.example'],
  ['for=1.2.3.4;for=evil.example'],
  ['for=1.2.3.4;evil.example'],
  ['evil.example'],
  ['evil.example;for=1.2.3.4'],
  ['for=1.2.3.4', 'host=evil.example'],
  ['for=1.2.3.4 ', 'for=5.6.7.8 host=evil.example'],
  ['for="1.2.3.4', 'host=evil.example"'],
  ['for="1.2.3.4,host=evil.example"'],
  ['for=1.2.3.4,host=evil.example'],
  ['for=1.2.3.4, , host=evil.example'],
  ['for=1.2.3.4;;host=evil.example'],
  ['for=[::1] host=evil.example'],
  ['for="[::1%evil.example]"'],
  ['for=1.2.3.4\xa0host=evil.example'],
  ['for=1.2.3.4\\;host=evil.example'],
  ["for='1.2.3.4 host=evil.example'"],
  ['for="\\1.2.3.4 host=evil.example"'],
  ['host=h;host=evil.example'],
  ['proto=http;host=h;proto=evil.example'],
]

// The guard is `readForwarded` in forwarding/forwarded.ts: a value that it does not understand is in the key as it is.
t.test('only addresses of Forwarded are out of the key', async tap => {
  const house = await startProxy(tap, { origin: mirror, config: balanced })
  for (const [number, values] of oddForwarded.entries()) {
    const path = `/forwarded/${number}`
    const lines = values.flatMap(value => ['Forwarded', value])
    await send(house, path, lines)
    for (const victim of [[], ['Forwarded', 'for=1.2.3.4'], ['Forwarded', 'for="1.2.3.4"'], ['Forwarded', 'for=1.2.3.4', 'Forwarded', 'for=5.6.7.8'], ['Forwarded', 'for=_x'], [
      'Forwarded',
      'for=unknown;by=1.2.3.4',
    ], ['Forwarded', 'by=1.2.3.4;for=1.2.3.4']]) {
      tap.notMatch(String((await send(house, path, victim)).body), /evil/, `${lines.join()}, then ${victim.join()}`)
    }
    tap.equal(detail(await send(house, path, lines)), 'fresh', `${lines.join()} has its own`)
  }
})

t.test('fields that name the client are not in the key, however the balancer writes them', async tap => {
  const house = await startProxy(tap, { origin: mirror, config: balanced })
  const same = async (path: string, ...all: readonly (readonly string[])[]): Promise<void> => {
    for (const [i, lines] of all.entries()) tap.equal(detail(await send(house, path, lines)), i === 0 ? 'uri-miss' : 'fresh', lines.join())
  }
  await same('/1', [], ['Forwarded', 'for=1.2.3.4'], ['Forwarded', 'for="[::1]:80"'], ['Forwarded', 'For=1.2.3.4:80;By=_x'], ['Forwarded', 'for=1.2.3.4, for=5.6.7.8'], [
    'Forwarded',
    'for=1.2.3.4',
    'Forwarded',
    'for=unknown',
  ])
  await same('/2', ['Forwarded', 'for=1.2.3.4;proto=https'], ['Forwarded', 'for=5.6.7.8;proto=https'], ['Forwarded', 'for="[::1]";proto=https'])
  await same('/3', ['Forwarded', 'proto=https;for=1.2.3.4; host=www.example'], ['Forwarded', 'proto=https;for=5.6.7.8; host=www.example'])
})

/** An application that uses the first of several values, or the last, or its own defaults. */
const goesByOne: OriginHandler = (request, response) => {
  const values = (name: string): string[] => request.rawHeaders.filter((_, i, all) => i % 2 === 1 && all[i - 1]?.toLowerCase().replaceAll(/[^a-z]/g, '-') === name)
  const elements = values('forwarded').join().split(',')
  const said = (element: string | undefined, name: string): string => new RegExp(`${name}="?([^";,\\s]*)`, 'i').exec(element ?? '')?.[1] ?? 'its own'
  const forwarded = [0, -1].flatMap(at => ['host', 'proto', 'secret'].map(name => said(elements.at(at), name)))
  const others = ['x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-prefix', 'x-host', 'x-real-ip'].map(name =>
    [values(name)[0], values(name).at(-1), values(name).length].map(value => (name === 'x-real-ip' && isAddressList(String(value)) ? 'an address' : value))
  )
  response.writeHead(200, { 'Cache-Control': 'max-age=600' })
  response.end(JSON.stringify([forwarded, others]))
}

/** Fields of a client that come before the balancer's, and fields that the balancer sends for every client. */
const ahead: readonly (readonly [says: readonly string[], balancer: readonly string[]])[] = [
  [['Forwarded', 'for=6.6.6.6'], ['Forwarded', 'for=1.1.1.1;host=www;proto=https']],
  [['Forwarded', 'for=6.6.6.6, for=7.7.7.7'], ['Forwarded', 'for=1.1.1.1;proto=https']],
  [['Forwarded', 'for=6.6.6.6;host="h";proto=http'], ['Forwarded', 'for=1.1.1.1;host=www;proto=https']],
  [['Forwarded', 'secret=1'], ['Forwarded', 'for=1.1.1.1;secret=2']],
  [['Forwarded', 'for=6.6.6.6'], []],
  [['Forwarded', 'for="6.6.6.6'], ['Forwarded', 'for=1.1.1.1;host="www"']],
  [['X-Forwarded-Host', 'h'], ['X-Forwarded-Host', 'www']],
  [['X-Forwarded-Host', 'evil.example'], ['X-Forwarded-Host', 'h']],
  [['X-Forwarded-Proto', 'http'], ['X-Forwarded-Proto', 'https']],
  [['X-Forwarded-Proto', 'HTTPS'], ['X-Forwarded-Proto', 'https']],
  [['X-Forwarded-Port', '80'], ['X-Forwarded-Port', '8443']],
  [['X-Forwarded-Port', '80'], ['X-Forwarded-Host', 'www:8443']],
  [['X-Forwarded-Port', '80'], ['X-Forwarded-Port', '80']],
  [['X_Forwarded_Port', '80'], ['X-Forwarded-Port', '80']],
  [['X-Forwarded-Prefix', '/a'], ['X-Forwarded-Prefix', '/b']],
  [['X-Host', 'a'], ['X-Host', 'b']],
  [['X-Real-IP', 'a'], ['X-Real-IP', '1.1.1.1']],
  [['X_Real_IP', 'a'], ['X-Real-IP', '1.1.1.1']],
]

// The guards are in forwarding/trusted-fields.ts: keyedProvenance judges a field by all of its lines, and keeps their order.
t.test('two clients that share a response mean the same to the origin, whichever line the origin goes by', async tap => {
  const house = await startProxy(tap, { origin: goesByOne, config: balanced })
  const alone = await startProxy(tap, { origin: goesByOne, config: balanced })
  for (const [number, [says, balancer]] of ahead.entries()) {
    for (const [way, lines] of [[...says, ...balancer], [...balancer, ...says], balancer, says].entries()) {
      const got = await send(house, `/ahead/${number}`, lines)
      tap.equal(String(got.body), String((await send(alone, `/ahead/${number}/${way}`, lines)).body), lines.join() || 'nothing')
    }
  }
})
