// Mutations of messages, by a seed: the same seed and number give the same bytes on every machine.

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const lineEnds = ['\r\n', '\n', '\r', '\r\r\n', '\n\r', '\r\n ', '\r\n\t', '\r\n\r\n', '\0', '\v']
const bytes = ['\0', '\x01', '\t', '\n', '\v', '\f', '\r', ' ', '"', "'", ',', ';', ':', '/', '\\', '%', '#', '?', '+', '-', '0', '_', '=', '\x7f', '\x80', '\xa0', '\xff', '\r\n',
  '\r\n\r\n', '%0d%0a', '%00']
const fields = [
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: 30',
  'content-length:5',
  'Content-Length: +5',
  'Content-Length: 5, 5',
  'Content-Length : 5',
  'Content-Length: 0x5',
  'Content-Length: 05',
  'Content-Length: 99999999999999999999',
  'Transfer-Encoding: chunked',
  'transfer-encoding:\tchunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding:',
  ' Transfer-Encoding: chunked',
  'Transfer_Encoding: chunked',
  'Host: h',
  'Host: evil',
  'Host:',
  'Host: h@evil',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: Host, Content-Length',
  'Connection: Upgrade',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Expect: 100-continue',
  'Expect: x',
  'TE: trailers',
  'Trailer: X',
  'Range: bytes=0-1',
  'If-None-Match: *',
  'Via: 1.1 springhouse',
  'X-Forwarded-For: 1.2.3.4',
  '__proto__: x',
  'Cookie: a=b',
  'Max-Forwards: 0',
  'X: \xff',
  'X: a\tb',
  'X:',
  ': x',
  'X',
]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT', 'PURGE', 'BAN', 'PRI', 'get', 'G', 'M-SEARCH', 'QUERY', 'SOURCE']
const targets = ['/', '*', '/a', '//a', '/a?b', '/a#b', 'a', 'h:80', 'http://h/a', 'http://h:80', 'https://evil/', 'http://u@h/', '/..', '/%2e%2e/', '/%00', '/a b', '/\\',
  '/caf\xe9', '?', '']
const versions = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', 'HTTP/1.1 ', '', 'RTSP/1.0']
const chunks = ['0\r\n\r\n', '5\r\nhello\r\n', '5;a=b\r\nhello\r\n', '-5\r\nhello\r\n', '0x5\r\nhello\r\n', '5\nhello\n', 'ffffffffffffffff\r\n', '5\r\nhelloX\r\n',
  '00\r\nX: 1\r\n\r\n', '5 \r\nhello\r\n']

/** A message that is close to one of `seeds`. */
export function mutated(seeds: readonly string[], random: () => number): string {
  const below = (limit: number): number => Math.floor(random() * limit)
  const oneOf = (list: readonly string[]): string => list[below(list.length)] as string
  let text = oneOf(seeds)
  const at = (): number => below(text.length + 1)
  const replaceAt = (start: number, length: number, by: string): void => {
    text = text.slice(0, start) + by + text.slice(start + length)
  }
  const lineStart = (): number => {
    const found = text.indexOf('\n', at())
    return found < 0 ? 0 : found + 1
  }
  const ways: readonly (() => void)[] = [
    () => replaceAt(at(), 0, oneOf(bytes)),
    () => replaceAt(at(), 1, oneOf(bytes)),
    () => replaceAt(at(), 1 + below(3), ''),
    () => replaceAt(at(), 1, String.fromCharCode(below(256))),
    () => replaceAt(lineStart(), 0, `${oneOf(fields)}\r\n`),
    () => replaceAt(text.indexOf('\n') + 1, 0, `${oneOf(fields)}\r\n`),
    () => replaceAt(lineStart(), 0, oneOf(chunks)),
    () => {
      const start = lineStart()
      replaceAt(start, 0, text.slice(start, text.indexOf('\n', start) + 1))
    },
    () => {
      const start = lineStart()
      replaceAt(start, text.indexOf('\n', start) + 1 - start, '')
    },
    () => {
      const end = text.indexOf('\r\n', at())
      if (end >= 0) replaceAt(end, 2, oneOf(lineEnds))
    },
    () => {
      text = text.replace(/^\S+/, oneOf(methods))
    },
    () => {
      text = text.replace(/ [^ \r\n]+/, ` ${oneOf(targets)}`)
    },
    () => {
      text = text.replace(/ HTTP\/1\.1/, ` ${oneOf(versions)}`)
    },
    () => {
      text = text.slice(0, at()) + oneOf(seeds).slice(below(40))
    },
    () => {
      const start = at()
      replaceAt(start, 8, text.slice(start, start + 8).toUpperCase())
    },
    () => replaceAt(at(), 0, oneOf(bytes).repeat(1 + below(60))),
    () => {
      text += oneOf(seeds)
    },
  ]
  for (let times = 1 + below(4); times > 0; times--) ways[below(ways.length)]?.()
  // As it will be sent: capitals of latin1 are not all in latin1.
  return Buffer.from(text.slice(0, 60_000), 'latin1').toString('latin1')
}
