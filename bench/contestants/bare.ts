// The limit for a hit: a node:http server that writes a single response, given as JSON in BENCH_ANSWER.
import { createServer } from 'node:http'

const { fields, body } = JSON.parse(process.env.BENCH_ANSWER ?? '{}') as { fields: string[]; body: string }
const bytes = Buffer.from(body)

const server = createServer((_request, response) => {
  response.writeHead(200, fields)
  response.end(bytes)
})
server.keepAliveTimeout = 120_000
server.listen(Number(process.argv[2]), '127.0.0.1')
