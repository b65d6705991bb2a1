// The plainest proxy of node:http and undici: a server, a pool, and `dispatch` between them.
import { createServer } from 'node:http'
import { Pool, type Dispatcher } from 'undici'

const [, , port, upstream] = process.argv
const pool = new Pool(upstream as string, { connections: 128, pipelining: 1 })

createServer((request, response) => {
  const headers = request.rawHeaders.filter((_, i, raw) => !/^(?:connection|keep-alive|transfer-encoding)$/i.test(raw[i - (i % 2)] as string))
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  const options: Dispatcher.DispatchOptions = { path: request.url as string, method: request.method as Dispatcher.HttpMethod, headers, body: hasBody ? request : null }
  pool.dispatch(options, {
    onRequestStart: () => undefined,
    onResponseStart: (controller, status) => {
      const raw = (controller.rawHeaders as Buffer[]).map((bytes) => bytes.toString('latin1'))
      if (status >= 200) response.writeHead(status, raw.filter((_, i) => !/^(?:connection|keep-alive|transfer-encoding)$/i.test(raw[i - (i % 2)] as string)))
    },
    onResponseData: (controller, chunk) => {
      if (response.write(chunk)) return
      controller.pause()
      response.once('drain', () => controller.resume())
    },
    onResponseEnd: () => void response.end(),
    onResponseError: () => void response.destroy(),
  })
}).listen(Number(port), '127.0.0.1')
