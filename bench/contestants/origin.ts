// The origin of every contestant: `/hit…` may be cached, anything else may not. `/count` returns the number of requests, and `POST
// /login` logs a user in. It
// shares a core with the load generator, so it is made of bare sockets and canned bytes: the contestants are to be the
// bottleneck.
import { createServer } from 'node:net'
import { systemClock } from '../../src/clock.ts'
import { formatHttpDate } from '../../src/http/date.ts'

const body = JSON.stringify({ filler: 'x'.repeat(1024 - '{"filler":""}'.length) })

// A single Date for all is true enough for a benchmark: nothing here is fresh for less than a day.
const startedAt = formatHttpDate(systemClock.now())

function canned(text: string, fields: readonly string[]): Buffer {
  const head = ['HTTP/1.1 200 OK', 'Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`, `Date: ${startedAt}`, 'Connection: keep-alive', ...fields]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${text}`)
}

const cacheable = canned(body, ['Cache-Control: public, max-age=86400', 'ETag: "bench-1"'])
const login = canned('', ['Cache-Control: no-store',
  `Springhouse-Session-Set: ${JSON.stringify({ login: 'ann', data: { tenant: 'acme', basket: [1, 2, 3], name: 'x'.repeat(200) } })}`])
const uncacheable = canned(body, ['Cache-Control: no-store'])

let asked = 0

function answer(head: string): Buffer {
  if (head.startsWith('GET /count ')) return canned(String(asked), ['Cache-Control: no-store'])
  asked++
  if (head.startsWith('POST /login ')) return login
  return head.startsWith('GET /hit') ? cacheable : uncacheable
}

const server = createServer({ noDelay: true }, socket => {
  let pending = ''
  socket.on('error', () => undefined)
  socket.on('data', chunk => {
    pending += chunk.toString('latin1')
    // Requests without content, one after the other.
    for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
      socket.write(answer(pending))
      pending = pending.slice(end + 4)
    }
  })
})
server.listen(Number(process.argv[2]), '127.0.0.1')
