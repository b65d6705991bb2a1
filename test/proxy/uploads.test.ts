// Bodies that clients send: a client that stops, or drips, is late. A client that goes on is not, nor one that waits for the
// origin.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { test, type Test } from 'tap'
import { watchUploads, type UploadWatch } from '../../src/proxy/pass/upload-timeout.ts'
import { eventually } from '../support/log.ts'

const hour = 3_600_000

interface Upload {
  readonly watch: UploadWatch
  readonly request: IncomingMessage
  readonly client: Socket
  /** Sends so many bytes of the body, and waits until they have come. */
  send(bytes: number): Promise<void>
  readonly late: number
}

/** A client that has sent the head of an upload, and no byte of its body. */
async function uploading(t: Test): Promise<Upload> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const watch = watchUploads(hour)
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => {
    watch.close()
    client.destroy()
    server.close()
  })
  client.on('error', () => undefined)
  client.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n')
  const [request] = await once(server, 'request') as [IncomingMessage]
  request.on('error', () => undefined)
  const upload = {
    watch,
    request,
    client,
    late: 0,
    async send(bytes: number) {
      const { socket } = request
      const before = socket.bytesRead
      client.write(Buffer.alloc(bytes, 'x'))
      await eventually(() => socket.bytesRead >= before + bytes)
    },
  }
  watch.watch(request, { headersSent: false }, () => {
    upload.late++
  })
  return upload
}

// The guard: `headersSent` in `check`.
test('an upload whose response has begun is not watched any more', async (t) => {
  const { request } = await uploading(t)
  const watch = watchUploads(hour)
  t.teardown(() => watch.close())
  const response = { headersSent: false }
  let late = 0
  watch.watch(request, response, () => late++)
  watch.check()
  t.equal(watch.size, 1)
  response.headersSent = true
  for (let i = 0; i < 9; i++) watch.check()
  t.same([watch.size, late], [0, 0])
})

/** Makes so many checks, with an action before each. */
async function checks({ watch }: Upload, count: number, before: () => unknown = () => undefined): Promise<void> {
  for (let i = 0; i < count; i++) {
    await before()
    watch.check()
  }
}

test('a client that stops in the midst of a body is late when its time is over, and reported once', async (t) => {
  const upload = await uploading(t)
  upload.request.resume()
  await upload.send(1_000)
  await checks(upload, 3)
  t.equal(upload.late, 0)
  await checks(upload, 5)
  t.equal(upload.late, 1)
})

test('a client that sends a byte now and then is late as well', async (t) => {
  const upload = await uploading(t)
  upload.request.resume()
  await checks(upload, 4, () => upload.send(1))
  t.equal(upload.late, 1)
})

test('a client that goes on may take as long as it likes', async (t) => {
  const upload = await uploading(t)
  upload.request.resume()
  await checks(upload, 20, () => upload.send(6_000))
  t.equal(upload.late, 0, '16 KiB in less than the time, again and again')
})

test('while the origin takes nothing, its client is not late', async (t) => {
  const upload = await uploading(t)
  await upload.send(10_000)
  await eventually(() => upload.request.readableLength > 0)
  await checks(upload, 20)
  t.equal(upload.late, 0)
  upload.request.resume()
  await eventually(() => upload.request.readableLength === 0)
  await checks(upload, 4)
  t.equal(upload.late, 1, 'but from then on it has to go on')
})

test('a client that is through, or has left, is not watched any more', async (t) => {
  const through = await uploading(t)
  through.request.resume()
  await through.send(1_000_000)
  await eventually(() => through.request.complete)
  const gone = await uploading(t)
  gone.request.resume()
  gone.client.destroy()
  await eventually(() => gone.request.destroyed)
  // At once, without a check: see watchUploads.
  await eventually(() => through.watch.size === 0)
  await eventually(() => gone.watch.size === 0)
  await checks(through, 8)
  await checks(gone, 8)
  t.same([through.late, gone.late], [0, 0])
})

test('without a limit no upload is late', async (t) => {
  const { request } = await uploading(t)
  const watch = watchUploads(0)
  let late = 0
  watch.watch(request, { headersSent: false }, () => late++)
  for (let i = 0; i < 8; i++) watch.check()
  t.equal(late, 0)
})

test('many uploads: those that end leave, in any order, and the others stay watched', async (t) => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const watch = watchUploads(hour)
  const late = new Set<number>()
  const clients: Socket[] = []
  for (let i = 0; i < 9; i++) {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    client.on('error', () => undefined)
    client.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n')
    const [request] = await once(server, 'request') as [IncomingMessage]
    request.on('error', () => undefined).resume()
    watch.watch(request, { headersSent: false }, () => {
      late.add(i)
      request.destroy()
    })
    clients.push(client)
  }
  t.teardown(() => {
    watch.close()
    for (const client of clients) client.destroy()
    server.close()
  })
  for (const [left, i] of [4, 0, 8, 1].entries()) {
    clients[i]?.destroy()
    await eventually(() => watch.size === 8 - left)
  }
  for (const [left, i] of [5, 2].entries()) {
    clients[i]?.write('body')
    await eventually(() => watch.size === 4 - left)
  }
  for (let i = 0; i < 8; i++) watch.check()
  t.same([...late].sort(), [3, 6, 7])
  t.equal(watch.size, 0)
})
