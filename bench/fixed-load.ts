// A fixed number of requests over raw keep-alive sockets: as many as are counted are sent, so that CPU time can be divided by them.
import { connect } from 'node:net'
import { systemClock } from '../src/clock.ts'
import type { FixedLoad, FixedResult } from './fixed.ts'

const { url: address, connections, count, method, bodyBytes, unique } = JSON.parse(process.argv[2] as string) as FixedLoad
const url = new URL(address)
const tail = ` HTTP/1.1\r\nHost: ${url.host}\r\n${bodyBytes > 0 ? `Content-Type: text/plain\r\nContent-Length: ${bodyBytes}\r\n` : ''}\r\n${'x'.repeat(bodyBytes)}`
const run = systemClock.now().toString(36)

const latencies: number[] = []
let begun = 0
let errors = 0
let open = connections

function openConnection(): void {
  const socket = connect(Number(url.port), url.hostname)
  let head = ''
  let left = -1
  let askedAt = 0
  const ask = (): void => {
    if (begun >= count) return void socket.end()
    begun++
    askedAt = systemClock.monotonic()
    socket.write(`${method} ${url.pathname}${unique ? `?${run}-${begun}` : ''}${tail}`)
  }
  const done = (): void => {
    latencies.push(systemClock.monotonic() - askedAt)
    left = -1
    ask()
  }
  socket.setNoDelay(true)
  socket.on('connect', ask)
  socket.on('data', (chunk: Buffer) => {
    if (left > 0) {
      left -= chunk.length
      if (left === 0) done()
      return
    }
    head += chunk.toString('latin1')
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    if (head.slice(9, 12) !== '200') errors++
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (length === undefined) throw new Error(`no length: ${head.slice(0, end)}`)
    left = Number(length) - (head.length - end - 4)
    head = ''
    if (left === 0) done()
  })
  socket.on('error', () => errors++)
  socket.on('close', () => {
    if (--open > 0) return
    const sorted = latencies.toSorted((a, b) => a - b)
    const result: FixedResult = { errors: errors + count - latencies.length, p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0, longestMs: sorted.at(-1) ?? 0 }
    process.stdout.write(JSON.stringify(result))
  })
}

for (let i = 0; i < connections; i++) openConnection()
