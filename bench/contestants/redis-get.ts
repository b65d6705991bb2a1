// The limit for a hit of a session: a node:http server that makes one Redis command for each request, and writes a single response.
import { createServer } from 'node:http'
import { Redis } from 'ioredis'

const { fields, body } = JSON.parse(process.env.BENCH_ANSWER ?? '{}') as { fields: string[]; body: string }
const bytes = Buffer.from(body)
const redis = new Redis(process.env.BENCH_REDIS ?? '')
await redis.set('bench', 'x'.repeat(400))

const server = createServer((_request, response) => {
  redis.getBuffer('bench').then(() => {
    response.writeHead(200, fields)
    response.end(bytes)
  }, () => response.writeHead(500).end())
})
server.keepAliveTimeout = 120_000
server.listen(Number(process.argv[2]), '127.0.0.1')
