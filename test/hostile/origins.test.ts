// Origins whose responses are malformed, truncated or surplus: an error or a truncated response, nothing stored, the connection
// not used again.
import type { Socket } from 'node:net'
import t from 'tap'
import { ask } from '../support/client.ts'
import { startProxy } from '../support/proxy.ts'
import { startRawOrigin } from '../support/scripted-origin.ts'
import { exchange } from './exchange.ts'
import { readResponses, statusOf, wireField } from './wire.ts'

type Tap = Parameters<typeof startProxy>[0]
type How = 'stays' | 'end' | 'reset'

const fresh = 'Cache-Control: max-age=600\r\n'
const ok = `HTTP/1.1 200 OK\r\n${fresh}`
const chunkedOk = `${ok}Transfer-Encoding: chunked\r\n\r\n`
const long = (length: string): string => `${ok}Content-Length: ${length}\r\n\r\nhello`

/** Responses that are not to be believed, and the origin's behaviour after each. `method`: GET unless given. */
const malformed: readonly (readonly [name: string, bytes: string, how?: How])[] = [
  ['two lengths', `${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`],
  ['two equal lengths', `${ok}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`],
  ...['5, 5', '5,6', '+5', '-5', '0x5', '5 5', '5;', '5.0', '', 'five', '18446744073709551621', '99999999999999999999999', '5\v', '\f5', '"5"'].map((
    length,
  ): [string, string] => [`Content-Length: ${JSON.stringify(length)}`, long(length)]),
  ['a length beside chunks', `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nhello`],
  ['chunks beside a length', `${ok}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nhello`],
  ['a length beside another coding', `${ok}Content-Length: 5\r\nTransfer-Encoding: xyz\r\n\r\nhello`],
  ...['gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'identity', 'xchunked', 'chunkedx', '"chunked"', ' ,chunked', 'chunked,', 'chunked;a=b', '\vchunked',
    'chun ked'].map((coding): [string, string] => [`Transfer-Encoding: ${JSON.stringify(coding)}`, `${ok}Transfer-Encoding: ${coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`]),
  ['chunks in HTTP/1.0', `HTTP/1.0 200 OK\r\n${fresh}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
  ['two codings', `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
  ['two codings, one unknown', `${ok}Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
  ...['000', '001', '099', '1000', '600', '999', '99', '20', '2', '-200', '+200', '200.5', 'abc', '2 0', '20x', '0200', '', '٢٠٠'].map((
    status,
  ): [string, string] => [`status ${JSON.stringify(status)}`, `HTTP/1.1 ${status} OK\r\n${fresh}Content-Length: 5\r\n\r\nhello`]),
  ...['HTTP/1.2 200 OK', 'HTTP/2.0 200 OK', 'HTTP/0.9 200 OK', 'HTTP/9.9 200 OK', 'http/1.1 200 OK', 'HTTP/1.1200 OK', 'HTTP 200 OK', 'HTTP/1.1 OK', 'ICY 200 OK', '200 OK',
    ' HTTP/1.1 200 OK', 'HTTP/1.1\t200\tOK', 'HTTP/1.1  200 OK', 'XHTTP/1.1 200 OK', 'HTTP/1.1 200OK', 'RTSP/1.0 200 OK', 'HTTP/1.1 200 O\0K', 'HTTP/1.1 200 O\rK',
    'HTTP/1.1 200 O\nK'].map((line): [string, string] => [`status line ${JSON.stringify(line)}`, `${line}\r\n${fresh}Content-Length: 5\r\n\r\nhello`]),
  ['no HTTP', 'SSH-2.0-OpenSSH_9.0\r\n\r\n'],
  ['HTTP/0.9: a body alone', '<html>hello</html>\r\n', 'end'],
  ['a body that comes first', `hello${ok}Content-Length: 5\r\n\r\nhello`],
  ['nothing', '', 'end'],
  ['half a head', `${ok}Content-Len`, 'end'],
  ['half a head, reset', `${ok}Content-Len`, 'reset'],
  ['a bare CR in a value', `${ok}X: a\rSet-Cookie: b\r\nContent-Length: 5\r\n\r\nhello`],
  ['a bare LF in a value', `${ok}X: a\nSet-Cookie: b\r\nContent-Length: 5\r\n\r\nhello`],
  ['bare LFs for line ends', ok.replaceAll('\r\n', '\n') + 'Content-Length: 5\n\nhello'],
  ['a bare LF at the end of the head', `${ok}Content-Length: 5\r\n\nhello`],
  ['a bare CR at the end of the head', `${ok}Content-Length: 5\r\n\rhello`],
  ['a fold', `${ok}X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello`],
  ['a folded length', `${ok}Content-Length:\r\n 5\r\n\r\nhello`],
  ['a space before the colon', `${ok}Content-Length : 5\r\n\r\nhello`],
  ['a name with a space', `${ok}X Y: 1\r\nContent-Length: 5\r\n\r\nhello`],
  ['a name that is empty', `${ok}: 1\r\nContent-Length: 5\r\n\r\nhello`],
  ['a line without a colon', `${ok}nonsense\r\nContent-Length: 5\r\n\r\nhello`],
  ...[0, 1, 7, 8, 11, 12, 14, 27, 31, 127].map((code): [string, string] => [`byte ${code} in a value`, `${ok}X: a${String.fromCharCode(code)}b\r\nContent-Length: 5\r\n\r\nhello`]),
  ...[0, 1, 9, 32, 34, 40, 44, 47, 59, 64, 91, 123, 127, 128, 255].map((
    code,
  ): [string, string] => [`byte ${code} in a name`, `${ok}X${String.fromCharCode(code)}Y: 1\r\nContent-Length: 5\r\n\r\nhello`]),
  ['300 KB of fields', `${ok}${`X: ${'x'.repeat(990)}\r\n`.repeat(300)}Content-Length: 5\r\n\r\nhello`],
  ['a field of 300 KB', `${ok}X: ${'x'.repeat(300_000)}\r\nContent-Length: 5\r\n\r\nhello`],
  ['101 unasked', `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n${long('5')}`],
  ['101 unasked, to nothing', `HTTP/1.1 101 Switching Protocols\r\n\r\n${long('5')}`],
  ['100 with a length and a body', `HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello`, 'end'],
  ['1xx and no final response', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 'end'],
  ['1xx without end', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(5_000) + long('5')],
  ['100 without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(5_000) + long('5')],
  ...['g', '-5', '+5', '0x5', ' 5', '5 x', '', '10000000000000005', 'fffffffffffffffff', '5\0'].map((
    size,
  ): [string, string] => [`chunk size ${JSON.stringify(size)}`, `${chunkedOk}${size}\r\nhello\r\n0\r\n\r\n`]),
  ['a chunk without its end', `${chunkedOk}5\r\nhelloX0\r\n\r\n`],
  ['a chunk with a bare LF', `${chunkedOk}5\nhello\r\n0\r\n\r\n`],
  ['a chunk extension with a bare LF', `${chunkedOk}5;a\nhello\r\n0\r\n\r\n`],
  ['a chunk extension with a bare CR', `${chunkedOk}5;a\rb\r\nhello\r\n0\r\n\r\n`],
  ['bare LFs at the end of chunks', `${chunkedOk}5\r\nhello\r\n0\n\n`],
  ['a malformed trailer', `${chunkedOk}5\r\nhello\r\n0\r\nX Y: 1\r\n\r\n`],
  ['a folded trailer', `${chunkedOk}5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n`],
  ['a trailer with a NUL', `${chunkedOk}5\r\nhello\r\n0\r\nX: 1\0\r\n\r\n`],
  ['300 KB of trailers', `${chunkedOk}5\r\nhello\r\n0\r\n${`X: ${'x'.repeat(990)}\r\n`.repeat(300)}\r\n`],
  ['chunks cut', `${chunkedOk}5\r\nhello\r\n`, 'end'],
  ['chunks truncated before the last line', `${chunkedOk}5\r\nhello\r\n0\r\n`, 'end'],
  ['chunks truncated within a chunk', `${chunkedOk}5\r\nhel`, 'end'],
  ['chunks truncated by a reset', `${chunkedOk}5\r\nhello\r\n`, 'reset'],
  ['a length truncated', long('50'), 'end'],
  ['a length truncated by a reset', long('50'), 'reset'],
  ['a body to the end of the connection, reset', `${ok}\r\nhello`, 'reset'],
  ['the same, said so', `${ok}Connection: close\r\n\r\nhello`, 'reset'],
  ['the same, in HTTP/1.0', `HTTP/1.0 200 OK\r\n${fresh}\r\nhello`, 'reset'],
]

/** Longer than a single read: the fault may come after the head has been passed on. */
const tooLongToTell = 32_768

/**
 * Origins that send more than the message. Clients may receive the message, but nothing behind it. The message is not stored,
 * unless its length says where it ends and nothing behind it resembles a response (RFC 9112 §6.3).
 */
const surplus: readonly (readonly [name: string, bytes: string, status: number, stored?: 'stored'])[] = [
  ['a response behind a length', `${long('5')}HTTP/1.1 200 OK\r\n${fresh}Content-Length: 4\r\n\r\nEVIL`, 200],
  ['bytes behind a length', `${long('5')}EVIL`, 200, 'stored'],
  ['a byte behind a length', `${long('5')}E`, 200, 'stored'],
  ['a CRLF and a response behind a length', `${long('5')}\r\nHTTP/1.1 200 OK\r\n${fresh}Content-Length: 4\r\n\r\nEVIL`, 200],
  ['bytes behind a length of 0', `${ok}Content-Length: 0\r\n\r\nEVIL`, 200, 'stored'],
  ['a response behind chunks', `${chunkedOk}5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n${fresh}Content-Length: 4\r\n\r\nEVIL`, 200],
  ['bytes behind chunks', `${chunkedOk}5\r\nhello\r\n0\r\n\r\nEVIL`, 200],
  ['bytes behind a length, on a connection to be closed', `${ok}Connection: close\r\nContent-Length: 5\r\n\r\nhelloEVIL`, 200, 'stored'],
  ['bytes behind chunks, on a connection to be closed', `${ok}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nEVIL`, 200],
  ['a body on 204', `HTTP/1.1 204 No Content\r\n${fresh}\r\nEVIL`, 204],
  ['a body with a length on 204', `HTTP/1.1 204 No Content\r\n${fresh}Content-Length: 4\r\n\r\nEVIL`, 204],
  ['chunks on 204', `HTTP/1.1 204 No Content\r\n${fresh}Transfer-Encoding: chunked\r\n\r\n4\r\nEVIL\r\n0\r\n\r\n`, 204],
  ['a response behind 204', `HTTP/1.1 204 No Content\r\n${fresh}\r\nHTTP/1.1 200 OK\r\n${fresh}Content-Length: 4\r\n\r\nEVIL`, 204],
  ['a body on 304', `HTTP/1.1 304 Not Modified\r\n${fresh}Content-Length: 4\r\n\r\nEVIL`, 304],
  ['a response behind 304', `HTTP/1.1 304 Not Modified\r\n${fresh}\r\nHTTP/1.1 200 OK\r\n${fresh}Content-Length: 4\r\n\r\nEVIL`, 304],
]

const finish: Record<How, (socket: Socket) => void> = { stays: () => undefined, end: socket => void socket.end(),
  reset: socket => void setTimeout(() => socket.resetAndDestroy(), 20) }

/** Responds to each first request of a path with the bytes of the case of that number, and to the others with a mark. */
async function house(tap: Tap, cases: readonly (readonly [string, string, ...unknown[]])[]) {
  const asked = new Map<string, number>()
  const used = new Map<Socket, string[]>()
  const origin = await startRawOrigin((socket) => {
    let seen = ''
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1')
      if (!seen.includes('\r\n\r\n')) return
      const [, method = '', path = ''] = /^([A-Z]+) (\S+) /.exec(seen) ?? []
      seen = ''
      used.set(socket, [...used.get(socket) ?? [], path])
      const count = (asked.get(path) ?? 0) + 1
      asked.set(path, count)
      const [, bytes = '', how = 'stays'] = cases[Number(/\d+/.exec(path)?.[0])] ?? ['', '']
      if (count > 1 || !path.startsWith('/case')) return void socket.write(`HTTP/1.1 200 OK\r\n${fresh}Content-Length: 4\r\n\r\n${method === 'HEAD' ? '' : 'good'}`)
      socket.write(Buffer.from(bytes, 'latin1'), () => finish[typeof how === 'string' ? how as How : 'stays'](socket))
    })
  })
  tap.teardown(() => origin.close())
  const made = await startProxy(tap, {
    origin: () => undefined,
    config: { origins: { api: { servers: [origin.url], retries: 0, timeouts: { connectMs: 5_000, headersMs: 2_000, idleMs: 2_000 } } }, routes: [{ match: {}, origin: 'api' }] },
  })
  /** True if the connection that carried the request for this path carried any other request afterwards. */
  const usedAgain = (path: string): boolean => [...used.values()].some(paths => paths.includes(path) && paths.at(-1) !== path)
  return { made, usedAgain, asked }
}

t.test('a malformed response is a 502 or truncated, is not stored, and ends its connection', async tap => {
  const { made, usedAgain } = await house(tap, malformed)
  for (const method of ['GET', 'POST']) {
    for (const [i, [name, bytes, how = 'stays']] of malformed.entries()) {
      const path = `/case${i}-${method}`
      const heard = await exchange(made.port, `${method} ${path} HTTP/1.1\r\nHost: h\r\n${method === 'POST' ? 'Content-Length: 0\r\n' : ''}Connection: close\r\n\r\n`, 5_000)
      const { messages, rest, fault } = readResponses(heard.bytes)
      const finals = messages.filter(message => statusOf(message) >= 200)
      const failed = finals.length === 1 && statusOf(finals[0]) === 502 && rest === ''
      const cut = finals.length === 0 && heard.closed
      const mayBeCut = how !== 'stays' || bytes.length > tooLongToTell
      tap.ok(fault === undefined && (failed || (cut && mayBeCut)), `${method} ${name}: ${fault ?? ''} ${finals.map(statusOf).join()}, ${JSON.stringify(rest.slice(0, 80))}`)
      tap.notMatch(heard.bytes, /EVIL/, name)
      const again = await ask(made.port, { path: `/other${i}-${method}`, headers: ['Host', 'h'] })
      tap.equal(String(again.body), 'good', `${name}: the next request gets its own answer`)
      if (method === 'GET') {
        const same = await ask(made.port, { path, headers: ['Host', 'h'] })
        tap.match(same.header('cache-status'), /fwd=/, `${name}: nothing was stored`)
        tap.equal(String(same.body), 'good', name)
      }
      tap.notOk(usedAgain(path), `${name}: the connection was not used again`)
    }
  }
})

t.test('bytes behind a message reach no client, the message before them is not stored, and its connection ends', async tap => {
  const { made, usedAgain } = await house(tap, surplus)
  for (const method of ['GET', 'POST', 'HEAD']) {
    for (const [i, [name, , status, stored]] of surplus.entries()) {
      const path = `/case${i}-${method}`
      const heard = await exchange(made.port, `${method} ${path} HTTP/1.1\r\nHost: h\r\n${method === 'POST' ? 'Content-Length: 0\r\n' : ''}Connection: close\r\n\r\n`, 5_000)
      const { messages, fault } = readResponses(heard.bytes, [method])
      tap.ok(fault === undefined && (messages.length === 0 ? heard.closed : messages.length === 1 && [status, 502].includes(statusOf(messages[0]))),
        `${method} ${name}: ${messages.map(statusOf).join()} ${fault ?? ''}`)
      tap.notMatch(heard.bytes, /EVIL/, name)
      const again = await ask(made.port, { path: `/other${i}-${method}`, headers: ['Host', 'h'] })
      tap.equal(String(again.body), 'good', `${method} ${name}: the next request gets its own answer`)
      const same = await ask(made.port, { path, headers: ['Host', 'h'] })
      if (stored !== undefined && method === 'GET') tap.notMatch(String(same.body), /EVIL|good/, `${name}: the message, and no more`)
      else {
        tap.match(same.header('cache-status'), /fwd=/, `${method} ${name}: nothing was stored`)
        tap.equal(String(same.body), 'good', name)
      }
      tap.notOk(usedAgain(path), `${method} ${name}: the connection was not used again`)
    }
  }
})

t.test('trailers that a parser may take for fields of the head spoil no response that comes after them', async tap => {
  const trailers = ['Connection: close', 'Connection: keep-alive', 'Transfer-Encoding: gzip', 'Transfer-Encoding: chunked']
  const { made, usedAgain } = await house(tap, trailers.map((line): [string, string] => [line, `${chunkedOk}5\r\nhello\r\n0\r\n${line}\r\n\r\n`]))
  for (const [i, line] of trailers.entries()) {
    const path = `/case${i}`
    tap.equal(String((await ask(made.port, { path, headers: ['Host', 'h'] })).body), 'hello', line)
    tap.equal(String((await ask(made.port, { path: `/other${i}`, headers: ['Host', 'h'] })).body), 'good', line)
    tap.notOk(usedAgain(path), `${line}: the connection was not used again`)
  }
})

t.test('a body behind the response to HEAD is dropped with its connection (RFC 9112 §6.3)', async tap => {
  const bodies: readonly [string, string][] = [['by length', long('5')], ['by chunks', `${chunkedOk}5\r\nhello\r\n0\r\n\r\n`], ['an answer',
    `${ok}Content-Length: 5\r\n\r\n${ok}Content-Length: 4\r\n\r\nEVIL`]]
  const { made, usedAgain } = await house(tap, bodies)
  for (const [i, [name]] of bodies.entries()) {
    const heard = await exchange(made.port, `HEAD /case${i} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
    tap.match(heard.bytes, /^HTTP\/1\.1 200 /, name)
    tap.notMatch(heard.bytes, /EVIL|hello/, name)
    const again = await ask(made.port, { path: `/other${i}`, headers: ['Host', 'h'] })
    tap.equal(String(again.body), 'good', name)
    tap.notOk(usedAgain(`/case${i}`), name)
  }
})

t.test('a response to HEAD may announce a length without bringing a body', async tap => {
  const { made } = await house(tap, [['', `${ok}Content-Length: 5\r\n\r\n`]])
  const heard = await exchange(made.port, 'HEAD /case0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
  const [message] = readResponses(heard.bytes, ['HEAD']).messages
  tap.equal(statusOf(message), 200)
  tap.equal(message === undefined ? undefined : wireField(message, 'content-length'), '5')
})
