// Downloads to clients that read slowly, or not at all: their share of the proxy's memory.
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import { anyPort, Running, urls } from '../cli/command.ts'
import { ask } from '../support/client.ts'

t.setTimeout(360_000)

const MiB = 1_048_576
const GiB = 1024 * MiB
const chunk = Buffer.alloc(64 * 1024, 'x')

/** An origin that sends as fast as it is read: a body of `bytes`, announced or in chunks, storable or not, by its path. */
async function startSource(bytes: number): Promise<{ server: Server; url: string; sent(): number }> {
  let sent = 0
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    response.writeHead(200, {
      'Cache-Control': path.includes('cached') ? 'max-age=600' : 'no-store',
      ...(path.includes('sized') && { 'Content-Length': bytes }),
    })
    if (request.method === 'HEAD') return void response.end()
    let left = bytes
    const push = (): void => {
      while (left > 0 && !response.destroyed) {
        left -= chunk.length
        sent += chunk.length
        if (!response.write(chunk)) return void response.once('drain', push)
      }
      response.end()
    }
    request.resume()
    push()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sent: () => sent }
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** The memory of all buffers of a process, as its V8 counts it. */
async function externalBytes(admin: string): Promise<number> {
  const metrics = await (await fetch(`${admin}/metrics`, { headers: { Authorization: 'Bearer abc' } })).text()
  return Number(/nodejs_external_memory_bytes (\d+)/.exec(metrics)?.[1])
}

/** A client that sends a request, and reads no more than `wanted` bytes. Resolves when it has them. */
async function reader(port: number, request: string, wanted: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1', () => socket.write(request))
  socket.on('error', () => undefined)
  let read = 0
  await new Promise<void>(resolve => {
    socket.on('data', part => {
      read += part.length
      if (read < wanted) return
      socket.pause()
      resolve()
    })
  })
  return socket
}

/** Resolves when the origin can send no more: every buffer on the way is full. */
async function stalled(sent: () => number): Promise<number> {
  for (let before = -1;;) {
    await new Promise(resolve => {
      setTimeout(resolve, 250)
    })
    if (sent() === before) return before
    before = sent()
  }
}

for (const path of ['/stream', '/sized', '/cached', '/cached-sized']) {
  t.test(`30 readers that stall in a body of 1 GiB hold no more than their windows: ${path}`, async t => {
    const source = await startSource(GiB)
    const serve = new Running(t, ['serve', '--origin', source.url, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
    const { proxy, admin } = await urls(serve)
    const port = Number(new URL(proxy).port)
    // Warm: the cost of the first requests is not the readers'.
    for (let i = 0; i < 20; i++) await ask(port, { method: 'HEAD', path: `/warm${i}` })
    const before = residentBytes(serve.child.pid as number)
    const sockets = await Promise.all(Array.from({ length: 30 }, (_, n) => reader(port, `GET ${path}/${n} HTTP/1.1\r\nHost: x\r\n\r\n`, 100_000)))
    const sent = await stalled(source.sent)
    // Bytes in flight to the store count as the store's, within its own bound.
    const stats = (await (await fetch(`${admin}/v1/stats`, { headers: { Authorization: 'Bearer abc-abc-abc-abc-abc' } })).json()) as { store: { bytes: number } }
    const grown = residentBytes(serve.child.pid as number) - before - stats.store.bytes
    t.comment(
      `${path}: ${(grown / MiB).toFixed(1)} MiB more beside the store's ${(stats.store.bytes / MiB).toFixed(1)} for 30 stalled readers; the origin could send ${
        (sent / MiB).toFixed(1)
      } MiB of 30 GiB`,
    )
    t.ok(grown < 64 * MiB, `${(grown / MiB).toFixed(1)} MiB`)
    t.equal((await ask(port, { path: '/other', method: 'HEAD' })).status, 200, 'others are served')
    for (const socket of sockets) socket.destroy()
    source.server.closeAllConnections()
    source.server.close()
  })
}

t.test('a body of 1 GiB goes through a client that stops and goes, and memory stays', async t => {
  const source = await startSource(GiB)
  const serve = new Running(t, ['serve', '--origin', source.url, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  const port = Number(new URL((await urls(serve)).proxy).port)
  for (let i = 0; i < 20; i++) await ask(port, { method: 'HEAD', path: `/warm${i}` })
  const pid = serve.child.pid as number
  const before = residentBytes(pid)
  let most = 0
  let read = 0
  const socket = connect(port, '127.0.0.1', () => socket.write('GET /cached-sized HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'))
  socket.on('data', part => {
    const passed = Math.floor((read + part.length) / (16 * MiB)) > Math.floor(read / (16 * MiB))
    read += part.length
    if (!passed) return
    // Each 16 MiB it takes a rest.
    most = Math.max(most, residentBytes(pid))
    socket.pause()
    setTimeout(() => socket.resume(), 20)
  })
  await new Promise(resolve => {
    socket.on('close', resolve)
  })
  t.ok(read > GiB)
  t.comment(`${((most - before) / MiB).toFixed(1)} MiB more at the most`)
  t.ok(most - before < 64 * MiB, `${((most - before) / MiB).toFixed(1)} MiB`)
  source.server.close()
})

// The guard: `#held > windowBytes` in exchange/fill/tee.ts. Without it the window of the stalled reader keeps what the store has copied.
t.test('16 readers of one body of 64 MiB, of which one stalls: memory grows by one body', async t => {
  const bytes = 64 * MiB
  let begin: () => void = () => {}
  let asked = 0
  const server = createServer((request, response) => {
    request.resume()
    if (request.url === '/warm') return void response.writeHead(200, { 'Cache-Control': 'no-store' }).end(Buffer.alloc(4 * MiB))
    asked++
    response.writeHead(200, { 'Cache-Control': 'max-age=600', 'Content-Length': bytes }).write(chunk)
    let left = bytes - chunk.length
    begin = () => {
      while (left > 0) {
        left -= chunk.length
        if (!response.write(chunk)) return void response.once('drain', begin)
      }
      response.end()
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const serve = new Running(t, ['serve', '--origin', `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: 'abc',
    SPRINGHOUSE_CACHE_MEMORY_MAX_BYTES: '512MiB', SPRINGHOUSE_CACHE_MEMORY_MAX_ENTRY_BYTES: '64MiB' })
  const { proxy, admin } = await urls(serve)
  const port = Number(new URL(proxy).port)
  // Warm: V8's young generation has its size (32 MiB), which is not the readers'.
  for (let i = 0; i < 8; i++) await Promise.all(Array.from({ length: 4 }, () => ask(port, { path: '/warm' })))
  const pid = serve.child.pid as number
  const before = residentBytes(pid)
  const heldBefore = await externalBytes(admin)
  let most = 0
  const sockets = await Promise.all(Array.from({ length: 16 }, () => reader(port, 'GET /one HTTP/1.1\r\nHost: x\r\n\r\n', 1000)))
  begin()
  const [stuck, ...others] = sockets
  await Promise.all(others.map(async socket => {
    let read = 0
    await new Promise<void>(resolve => {
      socket.removeAllListeners('data').on('data', part => {
        if (Math.floor((read + part.length) / (8 * MiB)) > Math.floor(read / (8 * MiB))) most = Math.max(most, residentBytes(pid))
        read += part.length
        if (read >= bytes - 2 * chunk.length) resolve()
      })
      socket.resume()
    })
  }))
  const grown = Math.max(most, residentBytes(pid)) - before
  const held = await externalBytes(admin) - heldBefore
  t.comment(`${(held / MiB).toFixed(1)} MiB more in buffers, ${(grown / MiB).toFixed(1)} MiB more resident at the most, of which the body is 64`)
  t.ok(held < bytes + 4 * MiB, `${(held / MiB).toFixed(1)} MiB`)
  // Beside the buffers it is garbage of the young generation, and pages of the heap that are touched for the first time.
  t.ok(grown < bytes + 12 * MiB, `${(grown / MiB).toFixed(1)} MiB`)
  t.equal(asked, 1)
  for (const socket of [stuck, ...others]) socket?.destroy()
  server.closeAllConnections()
  server.close()
})

t.test('uploads that the origin does not take hold no more than their windows', async t => {
  let taken = 0
  const sink = createServer(request => {
    // Reads a little, and stops.
    request.on('data', (part: Buffer) => {
      taken += part.length
      if (taken > MiB) request.pause()
    })
  })
  await new Promise<void>(resolve => sink.listen(0, '127.0.0.1', resolve))
  const serve = new Running(t, ['serve', '--origin', `http://127.0.0.1:${(sink.address() as AddressInfo).port}`, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
  const port = Number(new URL((await urls(serve)).proxy).port)
  const pid = serve.child.pid as number
  const before = residentBytes(pid)
  let sent = 0
  const sockets = Array.from({ length: 10 }, () => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
      const push = (): void => {
        while (!socket.destroyed) {
          sent += chunk.length
          socket.write(`${chunk.length.toString(16)}\r\n`)
          socket.write(chunk)
          if (!socket.write('\r\n')) return void socket.once('drain', push)
        }
      }
      push()
    })
    socket.on('error', () => undefined)
    return socket
  })
  const stopped = await stalled(() => sent)
  const grown = residentBytes(pid) - before
  t.comment(`uploads: ${(grown / MiB).toFixed(1)} MiB more; ten clients could send ${(stopped / MiB).toFixed(1)} MiB`)
  t.ok(grown < 64 * MiB, `${(grown / MiB).toFixed(1)} MiB`)
  for (const socket of sockets) socket.destroy()
  sink.closeAllConnections()
  sink.close()
})
