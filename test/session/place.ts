// The place of people's sessions: a Redis for them alone, and an origin that does what a request says.
import { Buffer } from 'node:buffer'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { eventually } from '../support/log.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { obedient } from './support.ts'

export interface SessionPlace {
  readonly redis: RedisServer
  /** The address of the origin. */
  readonly origin: string
  /** `sessions` of a configuration. */
  readonly sessions: object
  /** Resolves when Redis has done whatever it was sent before. */
  quiet(): Promise<void>
  close(): Promise<void>
}

/** @param deadlines the longest times of commands and connections */
export async function openSessionPlace(deadlines: { readonly commandTimeoutMs: number; readonly connectTimeoutMs: number }): Promise<SessionPlace> {
  const redis = await startRedis()
  const answer = obedient()
  const server = createServer((request, response) => {
    const body = (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks)
    })()
    // A replica that is killed breaks off.
    Promise.resolve(answer(request, response, { body } as Parameters<typeof answer>[2])).catch(() => response.destroy())
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  return {
    redis,
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sessions: {
      enabled: true,
      redis: { url: redis.url, ...deadlines },
      keys: [{ id: 'k', alg: 'HS256', secret: 'a secret of at least thirty-two bytes' }],
      // Longer than a run: the use of a replaced token is another test's.
      rotationGrace: '1h',
    },
    async quiet() {
      const raw = new Redis(redis.url, { retryStrategy: () => 10 })
      raw.on('error', () => undefined)
      await eventually(async () => await raw.ping().catch(() => '') === 'PONG' && await raw.ping().catch(() => '') === 'PONG')
      raw.disconnect()
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await redis.stop()
    },
  }
}
