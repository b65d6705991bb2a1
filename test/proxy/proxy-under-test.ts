// A proxy on a free port, in front of the origins of a test.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { resolveConfig } from '../../src/config/load.ts'
import type { ClientExchange, RoutedExchange } from '../../src/exchange/client/exchange.ts'
import { noObserver } from '../../src/exchange/client/observer.ts'
import { Pass, type PassParts } from '../../src/exchange/pass/pass.ts'
import { RoutedRequest } from '../../src/exchange/routed-request.ts'
import { compileRoutes } from '../../src/exchange/routing/routes.ts'
import type { ResolveHost } from '../../src/origin/dns.ts'
import type { OriginConfig } from '../../src/origin/config.ts'
import { createOrigins } from '../../src/origin/origins.ts'
import type { Origins } from '../../src/origin/origin.ts'
import { CacheRequest, scanFields } from '../../src/policy/request.ts'
import type { PassReason } from '../../src/policy/reasons.ts'
import type { ProxyOptions } from '../../src/proxy/listener/options.ts'
import type { RequestHandler } from '../../src/proxy/dispatch.ts'
import type { ProxyParts } from '../../src/proxy/proxy.ts'
import { createProxy } from '../../src/proxy/proxy.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
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
  h2c: false,
  maxClients: 1_000,
  maxRefused: 100,
  maxRequests: 10_000,
  timeouts: { requestMs: 60_000, headersMs: 60_000, keepAliveMs: 75_000, stalledMs: 60_000 },
}

const clock = handClock()
const [route] = compileRoutes(resolveConfig({ origins: { api: { servers: ['http://127.0.0.1:1'] } }, routes: [{ match: {}, origin: 'api' }] }))
/** Real parts for a pass. */
export const passParts: PassParts = {
  clock,
  store: createMemoryStore({ maxBytes: 1 << 20, maxEntryBytes: 1 << 16, maxVariants: 8, clock }),
  purgeLog: createLocalPurgeLog({ clock }),
  observer: noObserver,
  routes: () => [],
  otherRoutes: () => false,
  purgeWaitMs: 0,
}

/** A request as it is routed to a pool, whatever its Host. */
export function routedTo(origin: string, exchange: ClientExchange): RoutedExchange {
  const { head: { method = 'GET', url = '/', rawHeaders }, context } = exchange
  const request = new CacheRequest(scanFields(rawHeaders), { method, scheme: context.scheme, authority: 'h', target: url })
  exchange.routed = new RoutedRequest(request, { ...route as NonNullable<typeof route>, origin }, rawHeaders, context, 'springhouse')
  return exchange as RoutedExchange
}

/** A pass to the pool `api`. */
export function passFor(exchange: ClientExchange, reason: PassReason = exchange.head.method === 'GET' || exchange.head.method === 'HEAD' ? 'route-uncached' : 'method'): Pass {
  return new Pass(passParts, routedTo('api', exchange), reason)
}

/** Everything passes to the pool `api`, unless the parts say otherwise. */
export async function startProxyAlone(config: Partial<OriginConfig>,
  parts: Partial<RequestHandler & Omit<ProxyParts, 'options' | 'handler'>> & { options?: Partial<ProxyOptions>; resolve?: ResolveHost } = {}): Promise<RunningProxy> {
  const origins = createOrigins({ origins: { api: { ...patience, ...config } }, clock, logger: silent, ...(parts.resolve === undefined ? {} : { resolve: parts.resolve }) })
  const { handle = passFor, passUpgrade = (exchange: ClientExchange) => passFor(exchange, 'upgrade') } = parts
  const app = createProxy({
    handler: { handle: exchange => handle(exchange), passUpgrade },
    origins,
    observer: noObserver,
    clock,
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
