// Backends that are restarted one after the other, as real processes, under load: clients do not notice.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent } from 'node:http'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { endWithUs } from '../support/children.ts'
import { ask } from '../support/client.ts'
import { startProxy } from '../support/proxy.ts'
import { freePort } from '../cli/command.ts'

t.setTimeout(360_000)

// A well-behaved server: at SIGTERM it takes no new connections, closes the idle ones, and responds to the requests it has.
const backend = `
const server = require('node:http').createServer((request, response) => {
  request.resume().on('end', () => setTimeout(() => response.writeHead(200, { 'Cache-Control': 'no-store' }).end(request.method + ' ' + request.url), Math.random() * 20))
})
server.listen(Number(process.argv[1]), '127.0.0.1', () => process.stdout.write('up'))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
`

async function start(port: number): Promise<ChildProcess> {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '-e', backend, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  endWithUs(child)
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return child
}

interface Load {
  readonly children: ChildProcess[]
  readonly ports: readonly number[]
  /** How often each outcome was seen. */
  readonly seen: Record<string, number>
  /** Ends the load; resolves when the last response is there. */
  end(): Promise<void>
}

/** Two backends, the proxy before them, and clients that send these methods in turn, one request after the other. */
async function startLoad(test: Parameters<typeof startProxy>[0], clients: number, methods: readonly string[]): Promise<Load> {
  const ports = [await freePort(), await freePort()]
  const children = await Promise.all(ports.map(start))
  test.teardown(async () => children.forEach(child => child.kill('SIGKILL')))
  const house = await startProxy(test, {
    origin: (_, response) => response.end(),
    // The proxy decides by time which connections may still be used.
    clock: systemClock,
    config: { origins: { api: { servers: ports.map(port => `http://127.0.0.1:${port}`) } } },
  })
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  test.teardown(async () => agent.destroy())
  const seen: Record<string, number> = {}
  const load = { done: false }
  const client = async (n: number): Promise<void> => {
    for (let i = 0; !load.done; i++) {
      const method = methods[i % methods.length] as string
      const path = `/${n}/${i}`
      const answer = await ask(house.port, { method, path, agent, ...(method === 'POST' && { body: 'hello' }) })
      const outcome = `${method} ${answer.status}${String(answer.body) === `${method} ${path}` ? '' : ' wrong'}`
      seen[outcome] = (seen[outcome] ?? 0) + 1
    }
  }
  const all = Array.from({ length: clients }, (_, n) => client(n))
  return {
    children,
    ports,
    seen,
    end: async () => {
      load.done = true
      await Promise.all(all)
    },
  }
}

// The system may accept a connection just as the server stops listening, and then reset it. Nothing shows whether it read the
// request. A POST is not sent again, so one may be lost there, rarely, and its client gets an error.
t.test('a rolling restart loses no GET, and gives no POST a wrong response', async t => {
  const load = await startLoad(t, 12, ['GET', 'POST'])
  for (let round = 0; round < 3; round++) {
    for (const [n, port] of load.ports.entries()) {
      const old = load.children[n] as ChildProcess
      const exited = once(old, 'exit')
      old.kill('SIGTERM')
      await exited
      load.children[n] = await start(port)
    }
  }
  await load.end()
  t.comment(JSON.stringify(load.seen))
  const { 'GET 200': gets = 0, 'POST 200': posts = 0, 'POST 502 wrong': lost = 0, ...others } = load.seen
  t.strictSame(others, {})
  t.ok(gets > 0 && posts > 10 * lost, `${lost} of ${posts + lost} POSTs lost`)
})

t.test('killing one of two backends loses no GET', async t => {
  const load = await startLoad(t, 50, ['GET'])
  const answered = async (count: number): Promise<void> => {
    while ((load.seen['GET 200'] ?? 0) < count)
      await new Promise(resolve => {
        setImmediate(resolve)
      })
  }
  await answered(200)
  const killed = once(load.children[0] as ChildProcess, 'exit')
  load.children[0]?.kill('SIGKILL')
  await killed
  await answered((load.seen['GET 200'] ?? 0) + 500)
  await load.end()
  t.comment(JSON.stringify(load.seen))
  t.strictSame(Object.keys(load.seen), ['GET 200'])
})
