// A proxy on a free port, in front of the origins of a test.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { ResolveHost } from '../../src/origin/dns.ts'
import type { OriginConfig } from '../../src/origin/config.ts'
import { createOrigins } from '../../src/origin/origins.ts'
import type { Origins } from '../../src/origin/origin.ts'
import type { ProxyOptions } from '../../src/proxy/listener/options.ts'
import type { ProxyParts } from '../../src/proxy/proxy.ts'
import { createProxy } from '../../src/proxy/proxy.ts'
import { handClock, patience, silent } from '../origin/origins-under-test.ts'

export interface RunningProxy {
  readonly app: FastifyInstance
  readonly origins: Origins
  readonly port: number
  close(): Promise<void>
}

const defaults: ProxyOptions = {
  trustProxy: false,
  viaName: 'springhouse',
  maxHeaderBytes: 32_768,
  maxTargetBytes: 8_192,
  timeouts: { requestMs: 60_000, headersMs: 60_000, keepAliveMs: 75_000, stalledMs: 60_000 },
}

/** Everything falls through to the pool `Api`, unless the parts say otherwise. */
export async function startProxy(config: Partial<OriginConfig>, parts: Partial<Omit<ProxyParts, 'options'>> & { options?: Partial<ProxyOptions>; resolve?: ResolveHost } = {}): Promise<RunningProxy> {
  // A name with a capital: pools are looked up by host name, which has none.
  const origins = createOrigins({ origins: { Api: { ...patience, ...config } }, clock: handClock(), logger: silent, ...(parts.resolve === undefined ? {} : { resolve: parts.resolve }) })
  const app = createProxy({
    handle: ({ method }) => (method === 'GET' || method === 'HEAD' ? 'route-uncached' : 'method'),
    destination: (request) => ({ origin: 'Api', target: request.url as string }),
    origins,
    logger: silent,
    ...parts,
    options: { ...defaults, ...parts.options },
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    app,
    origins,
    port: (app.server.address() as AddressInfo).port,
    close: async () => {
      app.server.closeAllConnections()
      await app.close()
      await origins.close()
    },
  }
}
