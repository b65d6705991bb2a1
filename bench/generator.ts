// The load generator where wrk is not installed: raw keep-alive sockets. Each sends the next request as soon as it has its
// response.
import { connect } from 'node:net'
import { systemClock } from '../src/clock.ts'

const [, , address, connectionsText, secondsText, ...lines] = process.argv
const url = new URL(address as string)
const request = Buffer.from(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`)
const endsAt = systemClock.monotonic() + Number(secondsText) * 1000

// Latencies by tenths of a millisecond; the last one takes all that are longer.
const latencies = new Uint32Array(100_000)
let answers = 0
let errors = 0
let open = 0

/** Length of the response at the start of the buffer, 0 when it is not whole yet. */
function answerLength(buffer: Buffer): number {
  const headEnd = buffer.indexOf('\r\n\r\n')
  if (headEnd < 0) return 0
  const head = buffer.toString('latin1', 0, headEnd)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) {
    const whole = headEnd + 4 + Number(length)
    return buffer.length >= whole ? whole : 0
  }
  const end = buffer.indexOf('\r\n0\r\n\r\n', headEnd)
  return end < 0 ? 0 : end + 7
}

function openConnection(): void {
  const socket = connect(Number(url.port), url.hostname)
  let pending: Buffer = Buffer.alloc(0)
  let askedAt = 0
  const ask = (): void => {
    askedAt = systemClock.monotonic()
    socket.write(request)
  }
  open++
  socket.setNoDelay(true)
  socket.on('connect', ask)
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    const length = answerLength(pending)
    if (length === 0) return
    if (pending.toString('latin1', 9, 12) === '200') answers++
    else errors++
    const now = systemClock.monotonic()
    const slot = Math.min(latencies.length - 1, Math.round((now - askedAt) * 10))
    latencies[slot] = (latencies[slot] as number) + 1
    pending = pending.subarray(length)
    if (now < endsAt) ask()
    else socket.end()
  })
  socket.on('error', () => errors++)
  socket.on('close', () => {
    if (systemClock.monotonic() < endsAt) errors++
    if (--open === 0) report()
  })
}

function report(): void {
  let rest = Math.ceil((answers + errors) * 0.01)
  let slot = latencies.length - 1
  while (slot > 0 && (rest -= latencies[slot] as number) > 0) slot--
  process.stdout.write(JSON.stringify({ perSecond: answers / Number(secondsText), p99Ms: slot / 10, errors }))
}

for (let i = 0; i < Number(connectionsText); i++) openConnection()
