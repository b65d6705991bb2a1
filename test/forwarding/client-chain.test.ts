// X-Forwarded-For, -Proto, -Host and Forwarded agree, whichever a trusted proxy sends.
import t from 'tap'
import { fieldValue, type FieldLines } from '../../src/http/fields.ts'
import { readForwarded } from '../../src/forwarding/forwarded.ts'
import { provenanceLines } from '../../src/forwarding/trusted-fields.ts'
import type { RequestContext } from '../../src/forwarding/request-context.ts'
import { startProxy } from '../support/proxy.ts'

const balancer: RequestContext = { address: '10.0.0.2', scheme: 'https', httpVersion: '1.1', trusted: true, requestId: 'x' }

const told = (lines: FieldLines, client: RequestContext = balancer): Record<string, string | undefined> => {
  const sent = provenanceLines(lines, client, 'h')
  return Object.fromEntries(
    ['x-forwarded-for', 'forwarded', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'x-real-ip'].map((
      name,
    ) => [name.replace('x-forwarded-', ''), fieldValue(sent, name)]),
  )
}

const pairs = 'host="h";proto=https'
const own = `for=10.0.0.2;${pairs}`

// The guards: the two branches that make one field from the other in provenanceLines.
t.test('from X-Forwarded-For alone, Forwarded gets the same chain', async (t) => {
  t.match(told(['x-forwarded-for', '1.1.1.1, 2.2.2.2']), { for: '1.1.1.1, 2.2.2.2, 10.0.0.2', forwarded: `for=1.1.1.1;${pairs}, for=2.2.2.2;${pairs}, ${own}`,
    'x-real-ip': '2.2.2.2' })
  t.match(told(['x-forwarded-for', '2001:db8::1', 'x-forwarded-for', '[2001:db8::2]:443,1.1.1.1:80 , unknown']), {
    forwarded: `for="[2001:db8::1]";${pairs}, for="[2001:db8::2]:443";${pairs}, for="1.1.1.1:80";${pairs}, for=unknown;${pairs}, ${own}`,
    'x-real-ip': '10.0.0.2',
  })
  t.match(told(['x-forwarded-for', '1.1.1.1', 'x-forwarded-host', 'www.example:8443']), { forwarded: `for=1.1.1.1;host="www.example:8443";proto=https, ${own}`,
    host: 'www.example:8443', port: '8443' })
  t.match(told(['x-forwarded-for', '1.1.1.1', 'x-forwarded-host', 'a, b']), { forwarded: `for=1.1.1.1;proto=https, ${own}`, host: 'a, b' },
    'a host that is no host is not made part of Forwarded')
})

t.test('from Forwarded alone, X-Forwarded-For, -Host and -Port follow', async (t) => {
  t.match(told(['forwarded', 'for=1.1.1.1;host=www.example;proto=https, for="[2001:db8::1]:80";by=_x']), { for: '1.1.1.1, [2001:db8::1]:80, 10.0.0.2', host: 'www.example',
    proto: 'https', port: '443', 'x-real-ip': '2001:db8::1' })
  t.match(told(['forwarded', 'for="[::1]", for=_hidden, proto=https']), { for: '::1, unknown, unknown, 10.0.0.2', 'x-real-ip': '10.0.0.2' })
  t.match(told(['forwarded', 'for=1.1.1.1;host="evil/x"']), { host: 'h' })
})

t.test('if both are sent, they are kept if they agree, and X-Forwarded-For counts if they do not', async (t) => {
  t.match(told(['x-forwarded-for', '1.1.1.1', 'forwarded', 'for=1.1.1.1;host=www;secret=1']), { for: '1.1.1.1, 10.0.0.2', forwarded: `for=1.1.1.1;host=www;secret=1, ${own}` })
  t.match(told(['x-forwarded-for', '1.1.1.1:80', 'forwarded', 'for="1.1.1.1:99"']), { forwarded: `for="1.1.1.1:99";${pairs}, ${own}` }, 'a port is no other client')
  t.match(told(['x-forwarded-for', '1.1.1.1', 'forwarded', 'for=_hidden']), { forwarded: `for=_hidden;${pairs}, ${own}` }, 'a hidden address contradicts none')
  for (const forged of ['for=6.6.6.6', 'for=6.6.6.6;host=h', 'for=1.1.1.1, for=6.6.6.6', 'for=6.6.6.6;proto=http'])
    t.match(told(['forwarded', forged, 'x-forwarded-for', '1.1.1.1']), { for: '1.1.1.1, 10.0.0.2', forwarded: `for=1.1.1.1;${pairs}, ${own}` }, forged)
})

t.test('a field that cannot be read is unchanged, and nothing is made from it', async (t) => {
  t.match(told(['x-forwarded-for', 'evil']), { for: 'evil, 10.0.0.2', forwarded: own, 'x-real-ip': '10.0.0.2' })
  t.match(told(['forwarded', 'for=1.1.1.1 x']), { for: '10.0.0.2', forwarded: `for=1.1.1.1 x, ${own}` })
})

t.test("X-Real-IP and X-Forwarded-Port: the proxy's own, or those of a trusted client in any spelling", async (t) => {
  const stranger = { ...balancer, trusted: false, scheme: 'http' as const }
  t.match(told(['x-real-ip', '6.6.6.6', 'x-forwarded-port', '1', 'x-forwarded-for', '6.6.6.6', 'forwarded', 'for=6.6.6.6'], stranger), { port: '80', 'x-real-ip': '10.0.0.2',
    for: '10.0.0.2' })
  t.match(told(['x-real-ip', '1.1.1.1', 'x-forwarded-port', '8443']), { port: '8443', 'x-real-ip': '1.1.1.1' })
  t.match(told(['x_real_ip', '1.1.1.1', 'X_Forwarded_Port', '8443']), { port: undefined, 'x-real-ip': undefined })
})

t.test('every address in Forwarded is one that its grammar permits', async (t) => {
  for (const address of ['1.1.1.1', '1.1.1.1:80', '::1', '[::1]', '[::1]:80', 'unknown', 'Unknown', 'unknown:80', '::ffff:1.1.1.1']) {
    const elements = readForwarded(told(['x-forwarded-for', address])['forwarded'] ?? '')
    t.same(elements?.map(({ rest }) => rest), [pairs, pairs], address)
  }
})

// The guard: #forwardedProto in proxy/client.ts.
t.test('the scheme of a trusted proxy that sends Forwarded alone is in the key and in every field', async (t) => {
  const house = await startProxy(t, {
    host: 'h',
    origin: (request, response) =>
      response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(`${String(request.headers['x-forwarded-proto'])} ${String(request.headers['forwarded'])}`),
    config: { proxy: { host: '127.0.0.1', port: 0, trustProxy: ['127.0.0.1'] } },
  })
  t.equal(String((await house.get('/', { Forwarded: 'for=1.1.1.1;proto=https' })).body), 'https for=1.1.1.1;proto=https, for=127.0.0.1;host="h";proto=https')
  t.match(String((await house.get('/', { Forwarded: 'for=1.1.1.1;proto=http' })).body), /^http for=/)
  t.match(String((await house.get('/', { 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '1.1.1.1' })).body), /^https for=1\.1\.1\.1;host="h";proto=https, for=127/)
})
