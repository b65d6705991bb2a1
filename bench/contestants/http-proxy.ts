// The limit for a miss: Fastify with @fastify/http-proxy and nothing else, as its README starts it.
import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'

const [, , port, upstream] = process.argv
const app = fastify({ logger: false })
await app.register(httpProxy, { upstream: upstream as string })
await app.listen({ port: Number(port), host: '127.0.0.1' })
