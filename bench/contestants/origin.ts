// The origin of every contestant: `/hit…` may be cached, `/validate…` must be validated, `/large` is 1 MiB, `/slow` takes 50 ms; anything else
// may not be stored. `/count` returns the number of requests, and `POST /login` logs a user in. It shares a core with the load generator, so
// it is made of bare sockets and canned bytes: the contestants are to be the bottleneck.
import { createServer } from 'node:net'
import { systemClock } from '../../src/clock.ts'
import { formatHttpDate } from '../../src/http/date.ts'

const body = JSON.stringify({ filler: 'x'.repeat(1024 - '{"filler":""}'.length) })

// A single Date for all is true enough for a benchmark: nothing here is fresh for less than a day.
const startedAt = formatHttpDate(systemClock.now())

function canned(text: string, fields: readonly string[], status = '200 OK'): Buffer {
  const length = status.startsWith('304') ? [] : [`Content-Length: ${Buffer.byteLength(text)}`]
  const head = [`HTTP/1.1 ${status}`, 'Content-Type: application/json', ...length, `Date: ${startedAt}`, 'Connection: keep-alive', ...fields]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${text}`)
}

const cacheable = canned(body, ['Cache-Control: public, max-age=86400', 'ETag: "bench-1"'])
const login = canned('', ['Cache-Control: no-store',
  `Springhouse-Session-Set: ${JSON.stringify({ login: 'ann', data: { tenant: 'acme', basket: [1, 2, 3], name: 'x'.repeat(200) } })}`])
const uncacheable = canned(body, ['Cache-Control: no-store'])
const toValidate = canned(body, ['Cache-Control: no-cache', 'ETag: "bench-1"'])
const notModified = canned('', ['Cache-Control: no-cache', 'ETag: "bench-1"'], '304 Not Modified')
const large = canned('x'.repeat(1_048_576), ['Cache-Control: no-store'])

let asked = 0

function answer(head: string): Buffer {
  if (head.startsWith('GET /count ')) return canned(String(asked), ['Cache-Control: no-store'])
  asked++
  if (head.startsWith('POST /login ')) return login
  if (head.startsWith('GET /hit')) return cacheable
  if (head.startsWith('GET /validate')) return /\r\nif-none-match:/i.test(head) ? notModified : toValidate
  return head.startsWith('GET /large') ? large : uncacheable
}

const slowMs = 50
const announced = /\r\ncontent-length: *(\d+)/i
const chunked = /\r\ntransfer-encoding: *chunked/i

const server = createServer({ noDelay: true }, socket => {
  let pending = ''
  socket.on('error', () => undefined)
  socket.on('data', chunk => {
    pending += chunk.toString('latin1')
    // Each request in turn, with or without a body.
    for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
      const head = pending.slice(0, end)
      const bodyEnd = chunked.test(head) ? pending.indexOf('0\r\n\r\n', end + 4) + 5 : end + 4 + Number(announced.exec(head)?.[1] ?? 0)
      if (bodyEnd < end + 4 || pending.length < bodyEnd) return
      pending = pending.slice(bodyEnd)
      const response = answer(head)
      if (head.startsWith('GET /slow')) setTimeout(() => socket.write(response), slowMs)
      else socket.write(response)
    }
  })
})
server.listen(Number(process.argv[2]), '127.0.0.1', 4_096)
