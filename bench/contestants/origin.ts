// The origin that every contestant asks: `/hit…` may be cached, anything else may not. `/count` tells how often it was asked.
import { createServer } from 'node:http'

const body = Buffer.from(JSON.stringify({ filler: 'x'.repeat(1024 - '{"filler":""}'.length) }))
const common = ['content-type', 'application/json', 'content-length', String(body.length)]
const cacheable = [...common, 'cache-control', 'public, max-age=3600', 'etag', '"bench-1"']
const uncacheable = [...common, 'cache-control', 'no-store']

let asked = 0

const server = createServer((request, response) => {
  if (request.url === '/count') {
    response.end(String(asked))
    return
  }
  asked++
  response.writeHead(200, request.url?.startsWith('/hit') === true ? cacheable : uncacheable)
  response.end(body)
})
server.keepAliveTimeout = 120_000
server.listen(Number(process.argv[2]), '127.0.0.1')
