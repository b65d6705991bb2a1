// The head of a response over HTTP/1.1: what is refused, and what is read from the rest.
import t from 'tap'
import { framingOf, parseHead, type Http1Head } from '../../src/origin/transport/http1-head.ts'

const head = (...lines: readonly string[]): Http1Head => {
  const found = parseHead(lines.join('\r\n'))
  if (typeof found === 'string') throw new Error(found)
  return found
}

// Guards: each refusal of `parseHead`. The proxy refuses most of these once more, when it has settled the fields.
t.test('heads that two readers may read differently are refused', (test) => {
  const ok = 'HTTP/1.1 200 OK'
  const refused: readonly (readonly [string, string])[] = [
    ['', 'status line'],
    ['HTTP/1.1 099 OK', 'status line'],
    ['HTTP/1.1  200 OK', 'status line'],
    ['HTTP/2.0 200 OK', 'status line'],
    [`${ok}\r\nA: b\nC: d`, 'a malformed field'],
    [`${ok}\r\nA: b\rC: d`, 'a malformed field'],
    [`${ok}\r\nA: b\r`, 'a malformed field'],
    [`${ok}\r\nA: \0`, 'a malformed field'],
    [`${ok}\r\nA : b`, 'a malformed field'],
    [`${ok}\r\n A: b`, 'a malformed field'],
    [`${ok}\r\n: b`, 'a malformed field'],
    [`${ok}\r\nA`, 'a malformed field'],
    [`${ok}\r\n`, 'a malformed field'],
    [`${ok}\r\nContent-Length: 1\r\nContent-Length: 1`, 'ambiguous Content-Length'],
    [`${ok}\r\nContent-Length: 1, 1`, 'ambiguous Content-Length'],
    [`${ok}\r\nContent-Length: -1`, 'ambiguous Content-Length'],
    [`${ok}\r\nContent-Length:`, 'ambiguous Content-Length'],
    [`${ok}\r\nContent-Length: 1234567890123456`, 'ambiguous Content-Length'],
    [`${ok}\r\nContent-Length: 5\t`, 'a malformed field'],
    [`${ok}\r\nTransfer-Encoding: chunked\t`, 'a malformed field'],
    ['HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked', 'Transfer-Encoding in HTTP/1.0'],
    [`${ok}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5`, 'Content-Length beside Transfer-Encoding'],
    [`${ok}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked`, 'Transfer-Encoding other than chunked'],
    [`${ok}\r\nTransfer-Encoding: gzip`, 'Transfer-Encoding other than chunked'],
  ]
  for (const [text, fault] of refused) test.equal(parseHead(text), fault, JSON.stringify(text))
  test.end()
})

t.test('names are in lower case, values keep their bytes without outer white space', (test) => {
  test.strictSame(head('HTTP/1.1 200 OK', 'X-Name: \t a\t b \xa0 ', 'ETag:"a"', 'Empty:').lines, ['x-name', 'a\t b \xa0', 'etag', '"a"', 'empty', ''])
  test.strictSame(head('HTTP/1.1 204').lines, [])
  test.end()
})

t.test('where the body ends, and whether the connection goes on', (test) => {
  const framing = (status: number, method: string, ...fields: readonly string[]): string => framingOf(head(`HTTP/1.1 ${status} X`, ...fields), method)
  test.equal(framing(200, 'GET', 'Content-Length: 0'), 'length')
  test.equal(framing(200, 'GET', 'Transfer-Encoding: Chunked'), 'chunked')
  test.equal(framing(200, 'GET', 'Transfer-Encoding: x'), 'close')
  test.equal(framing(200, 'GET'), 'close')
  for (const [status, method] of [[204, 'GET'], [304, 'GET'], [200, 'HEAD']] as const) test.equal(framing(status, method, 'Transfer-Encoding: chunked'), 'none')
  const persists = (version: string, ...fields: readonly string[]): boolean => head(`HTTP/${version} 200 X`, ...fields).persists
  test.strictSame([persists('1.1'), persists('1.1', 'Connection: x'), persists('1.0', 'Connection: Keep-Alive')], [true, true, true])
  test.strictSame([persists('1.0'), persists('1.1', 'Connection: x', 'Connection: close'), persists('1.0', 'Connection: keep-alive, close')], [false, false, false])
  test.strictSame([head('HTTP/1.1 200 X', 'Keep-Alive: timeout=5, max=9').keepAliveMs, head('HTTP/1.1 200 X', 'Keep-Alive: max=9').keepAliveMs], [5_000, undefined])
  test.end()
})
