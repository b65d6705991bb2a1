// Backends that are restarted one after the other, as real processes, under load: nobody notices.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent } from 'node:http'
import t from 'tap'
import { ask } from '../support/client.ts'
import { startHouse } from '../support/house.ts'
import { freePort } from '../cli/command.ts'

t.setTimeout(120_000)

// A well-behaved server: at SIGTERM it takes no new connections, closes the idle ones, and answers what it has.
const backend = `
const server = require('node:http').createServer((request, response) => {
  request.resume().on('end', () => setTimeout(() => response.writeHead(200, { 'Cache-Control': 'no-store' }).end(request.method + ' ' + request.url), Math.random() * 20))
})
server.listen(Number(process.argv[1]), '127.0.0.1', () => process.stdout.write('up'))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
`

async function start(port: number): Promise<ChildProcess> {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '-e', backend, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return child
}

t.test('a rolling restart loses no request, POST included', async t => {
  const ports = [await freePort(), await freePort()]
  const children = await Promise.all(ports.map(start))
  t.teardown(() => children.forEach(child => child.kill('SIGKILL')))
  const house = await startHouse(t, {
    origin: (_, response) => response.end(),
    config: { origins: { api: { servers: ports.map(port => `http://127.0.0.1:${port}`) } } },
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  t.teardown(() => agent.destroy())
  const seen: Record<string, number> = {}
  const load = { done: false }
  const client = async (n: number): Promise<void> => {
    for (let i = 0; !load.done; i++) {
      const method = i % 2 === 0 ? 'GET' : 'POST'
      const path = `/${n}/${i}`
      const answer = await ask(house.port, { method, path, agent, ...(method === 'POST' && { body: 'hello' }) })
      const outcome = `${method} ${answer.status}${String(answer.body) === `${method} ${path}` ? '' : ' wrong'}`
      seen[outcome] = (seen[outcome] ?? 0) + 1
    }
  }
  const clients = Array.from({ length: 12 }, (_, n) => client(n))
  for (let round = 0; round < 3; round++) {
    for (const [n, port] of ports.entries()) {
      const old = children[n] as ChildProcess
      const exited = once(old, 'exit')
      old.kill('SIGTERM')
      await exited
      children[n] = await start(port)
    }
  }
  load.done = true
  await Promise.all(clients)
  t.comment(JSON.stringify(seen))
  t.strictSame(Object.keys(seen).toSorted(), ['GET 200', 'POST 200'])
})

t.test('one of two backends that is killed loses no GET', async t => {
  const ports = [await freePort(), await freePort()]
  const children = await Promise.all(ports.map(start))
  t.teardown(() => children.forEach(child => child.kill('SIGKILL')))
  const house = await startHouse(t, {
    origin: (_, response) => response.end(),
    config: { origins: { api: { servers: ports.map(port => `http://127.0.0.1:${port}`) } } },
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  t.teardown(() => agent.destroy())
  const seen: Record<string, number> = {}
  const load = { done: false }
  const client = async (n: number): Promise<void> => {
    for (let i = 0; !load.done; i++) {
      const { status } = await ask(house.port, { path: `/${n}/${i}`, agent })
      seen[status] = (seen[status] ?? 0) + 1
    }
  }
  const clients = Array.from({ length: 50 }, (_, n) => client(n))
  while ((seen['200'] ?? 0) < 200) await new Promise(resolve => { setImmediate(resolve) })
  const killed = once(children[0] as ChildProcess, 'exit')
  children[0]?.kill('SIGKILL')
  await killed
  const before = seen['200'] ?? 0
  while ((seen['200'] ?? 0) < before + 500) await new Promise(resolve => { setImmediate(resolve) })
  load.done = true
  await Promise.all(clients)
  t.comment(JSON.stringify(seen))
  t.strictSame(Object.keys(seen), ['200'])
})
