// A process with few descriptors: it serves what it can, says so, blames no server, and its admin listener stays reachable.
import { connect as connectH2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { descriptorNotice, openFilesLimit, shareDescriptors } from '../../src/descriptors.ts'
import { anyPort, Running, urls } from '../cli/command.ts'
import { ask } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startOrigin } from '../support/scripted-origin.ts'

t.setTimeout(120_000)

const token = 'a-token-of-these-tests'

async function connected(t: Test, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await new Promise<void>((resolve) => {
    socket.once('connect', () => resolve())
  })
  return socket
}

interface ServerStatus {
  readonly healthy: boolean
  readonly consecutiveFailures: number
}

// The guards: shareDescriptors in app.ts, ListenerLoad, SocketBudget. Without them the POSTs are 502, the server is ejected, and
// the admin listener resets its connections.
t.test('with 300 open files, requests are served or get 503, and their server is not blamed', async (t) => {
  let release = (): void => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const origin = await startOrigin(async (request, response) => {
    if (request.url === '/held') await released
    response.end('here')
  })
  t.teardown(() => origin.close())
  const serve = new Running(t, ['serve', '--origin', origin.url.replace('127.0.0.1', 'localhost'), ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: token }, undefined, 300)
  const { proxy, admin } = await urls(serve)
  const { clients } = shareDescriptors(300)
  await serve.says(new RegExp(`clients +at most ${clients} at once in each process: the limit of open files is 300 `))
  const port = Number(new URL(proxy).port)
  const servers = async (): Promise<ServerStatus[]> =>
    ((await (await fetch(`${admin}/v1/origins`, { headers: { authorization: `Bearer ${token}` } })).json()) as { origins: ServerStatus[] }).origins
  const statuses: number[] = []
  const posts: Promise<unknown>[] = []
  for (let i = 0; i < 320; i++) {
    posts.push(ask(port, { method: 'POST', path: '/held', body: 'x' }).then(({ status, header }) => {
      statuses.push(status)
      if (status === 503 && header('retry-after') !== '1') t.fail('a 503 without Retry-After')
    }, () => statuses.push(0)))
    // In groups, as separate clients come.
    if (i % 8 === 7) await new Promise(setImmediate)
  }
  // Idle clients on top.
  for (let i = 0; i < 100; i++) await connected(t, port)
  await eventually(() => statuses.length >= 320 - clients)
  t.equal((await fetch(`${admin}/readyz`)).status, 200)
  t.same([...new Set(statuses)], [503])
  t.equal((await ask(port)).status, 503, 'the newest client gets a response')
  t.match(await servers(), [{ healthy: true, consecutiveFailures: 0 }])
  release()
  await Promise.all(posts)
  t.equal(statuses.filter((status) => status === 200).length, clients)
  t.match(await servers(), [{ healthy: true, consecutiveFailures: 0 }])
  serve.child.kill('SIGTERM')
  const { code, stdout } = await serve.ended
  t.equal(code, 0)
  const lines = stdout.split('\n').filter((line) => line.includes('"PROXY_BUSY"'))
  t.equal(lines.length, 1, 'one line a minute')
  t.match(JSON.parse(lines[0] as string), { level: 50, msg: 'The proxy serves as many clients as it can.' })
})

// The guard: maxSockets in app.ts. Without it the streams of three clients take every descriptor.
t.test('with 300 open files, a few clients with many streams leave descriptors for others', async (t) => {
  let release = (): void => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const origin = await startOrigin(async (_request, response) => {
    await released
    response.end('here')
  })
  t.teardown(() => origin.close())
  const serve = new Running(t, ['serve', '--origin', origin.url, ...anyPort], { SPRINGHOUSE_ADMIN_TOKEN: token, SPRINGHOUSE_PROXY_H2C: 'true' }, undefined, 300)
  const { proxy, admin } = await urls(serve)
  const { origins } = shareDescriptors(300)
  const responses: { status: unknown; body: string }[] = []
  for (let i = 0; i < 3; i++) {
    const session = connectH2(proxy)
    session.on('error', () => undefined)
    t.teardown(() => session.destroy())
    for (let j = 0; j < 120; j++) {
      const stream = session.request({ ':method': 'POST', ':path': '/' })
      const response = { status: undefined as unknown, body: '' }
      stream.on('response', (fields) => {
        response.status = fields[':status']
      }).on('error', () => undefined)
      stream.setEncoding('utf8').on('data', (text: string) => {
        response.body += text
      }).on('close', () => responses.push(response)).end()
    }
  }
  await eventually(() => responses.length >= 360 - origins)
  t.same([...new Set(responses.map(({ status, body }) => `${String(status)} ${(JSON.parse(body) as { code: string }).code}`))], ['503 PROXY_EXHAUSTED'])
  t.equal((await fetch(`${admin}/readyz`)).status, 200)
  release()
  await eventually(() => responses.length === 360)
  t.equal(responses.filter(({ status }) => status === 200).length, origins)
  const { origins: servers } = (await (await fetch(`${admin}/v1/origins`, { headers: { authorization: `Bearer ${token}` } })).json()) as { origins: ServerStatus[] }
  t.match(servers, [{ healthy: true, consecutiveFailures: 0 }])
})

t.test('the descriptors are divided so that each use has its own', async (t) => {
  for (const limit of [0, 20, 100, 256, 300, 1_024, 4_096, 65_536, 1_048_576]) {
    for (const maxClients of [undefined, 1, 50, 100_000]) {
      const { clients, refused, origins, admin } = shareDescriptors(limit, maxClients)
      t.ok([clients, refused, origins, admin].every((share) => Number.isInteger(share) && share >= 1), `${limit} ${maxClients}`)
      if (limit >= 256) t.ok(clients + refused + origins + admin + 48 <= limit, `${limit} ${maxClients}`)
      t.ok(clients <= (maxClients ?? Infinity) && origins >= clients)
    }
  }
  t.same(shareDescriptors(Infinity, 7), { clients: 7, refused: 1_024, origins: Infinity, admin: 1_024 })
  t.ok(openFilesLimit() > 0)
})

t.test('the start names the number of clients if the limit is low, or lower than the configuration', async (t) => {
  t.match(descriptorNotice(300), /^at most 92 at once in each process: the limit of open files is 300 \(ulimit -n\)$/)
  t.match(descriptorNotice(4_095), /^at most \d+ at once/)
  t.equal(descriptorNotice(4_096), undefined)
  t.equal(descriptorNotice(Infinity, 5), undefined)
  t.equal(descriptorNotice(65_536, 100), undefined)
  t.match(descriptorNotice(65_536, 100_000), /too low for proxy\.maxClients 100000$/)
})
