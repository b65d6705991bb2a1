// All connections are read into one memory: no body is mixed with another, however they interleave, and however slow their readers are.
import { createHash } from 'node:crypto'
import t from 'tap'
import { randomFrom } from '../hostile/mutate.ts'
import { startRawOrigin } from '../support/scripted-origin.ts'
import { fetchFrom, originsOf } from './origins-under-test.ts'

/** The body of a number: no part of it occurs in another. */
function bodyOf(number: number): Buffer {
  const random = randomFrom(number)
  const length = Math.floor(random() < 0.5 ? random() * 2_000 : random() * 300_000)
  const line = Buffer.from(`${createHash('sha256').update(String(number)).digest('hex')} ${number}\n`)
  return Buffer.alloc(length, line)
}

/** The bytes of a response, in one of three framings, in pieces as a network may deliver them. */
function piecesOf(number: number): { readonly pieces: Buffer[]; readonly ends: boolean } {
  const random = randomFrom(number + 1_000_000)
  const body = bodyOf(number)
  const framing = Math.floor(random() * 3)
  const bytes: Buffer[] = [
    Buffer.from(`HTTP/1.1 200 OK\r\nX-Number: ${number}\r\n${[`Content-Length: ${body.length}\r\n`, 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n'][framing]}\r\n`),
  ]
  if (framing === 1) {
    for (let at = 0; at < body.length;) {
      const chunk = body.subarray(at, at + 1 + Math.floor(random() * 20_000))
      bytes.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'))
      at += chunk.length
    }
    bytes.push(Buffer.from('0\r\n\r\n'))
  } else bytes.push(body)
  const whole = Buffer.concat(bytes)
  const pieces: Buffer[] = []
  const most = random() < 0.3 ? 300 : 100_000
  for (let at = 0; at < whole.length;) {
    const piece = whole.subarray(at, at + 1 + Math.floor(random() * most))
    pieces.push(piece)
    at += piece.length
  }
  return { pieces, ends: framing === 2 }
}

// Guard: `own` in shared-read.ts. If it returns a slice of the shared memory, bodies are mixed at once.
t.test('many bodies at a time, in pieces, with readers that pause: each arrives as it was sent', async (test) => {
  const origin = await startRawOrigin((socket) => {
    socket.on('error', () => undefined)
    let seen = ''
    socket.on('data', (bytes: Buffer) => {
      seen += bytes.toString('latin1')
      if (!seen.includes('\r\n\r\n')) return
      const { pieces, ends } = piecesOf(Number(seen.split(/[ /]+/, 2)[1]))
      seen = ''
      // A piece in each turn, so that the pieces of all connections interleave.
      const next = (): void => {
        const piece = pieces.shift()
        if (piece === undefined) return ends ? void socket.end() : undefined
        socket.write(piece)
        setImmediate(next)
      }
      next()
    })
  })
  const origins = originsOf({ servers: [origin.url], maxConnections: 40, maxQueue: 1_000, retries: 0 })
  test.teardown(() => Promise.all([origins.close(), origin.close()]))
  let number = 0
  let pauses = 0
  const wrong: string[] = []
  const reader = async (): Promise<void> => {
    while (number < 600) {
      const mine = ++number
      const random = randomFrom(mine + 2_000_000)
      const slow = random() < 0.4
      const { body, error, fields } = await fetchFrom(origins, { target: `/${mine}` }, {
        onData: (exchange) => {
          if (!slow || random() < 0.5) return
          pauses++
          exchange.pause()
          const turns = Math.floor(random() * 20)
          const later = (left: number): void => void setImmediate(() => (left === 0 ? exchange.resume() : later(left - 1)))
          later(turns)
        },
      })
      if (error !== undefined || !fields.includes(String(mine)) || !body.equals(bodyOf(mine)))
        wrong.push(`${mine}: ${error?.code ?? ''} ${body.length} bytes of ${bodyOf(mine).length}`)
    }
  }
  await Promise.all(Array.from({ length: 40 }, reader))
  test.same(wrong, [])
  test.ok(pauses > 100, `${pauses} pauses`)
  test.same(origins.status().map(({ pending, consecutiveFailures }) => [pending, consecutiveFailures]), [[0, 0]])
})
