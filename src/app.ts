// The composition root: from a configuration to two listeners, and back to nothing.
import { setImmediate } from 'node:timers/promises'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Server as HttpsServer } from 'node:https'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { createAdmin } from './admin/admin.ts'
import { degraded } from './admin/degraded.ts'
import type { AdminReload, ShownRoute } from './admin/parts.ts'
import type { WorkerGroup } from './admin/workers.ts'
import { systemClock, type Clock } from './clock.ts'
import { listenerPems } from './config/certificates.ts'
import { withCredentials, withoutCredentials } from './config/credentials.ts'
import { maskSecrets } from './config/mask.ts'
import type { Config } from './config/schema.ts'
import { openFilesLimit, shareDescriptors } from './descriptors.ts'
import { drainable } from './drain.ts'
import { Counters } from './exchange/counters.ts'
import { createCache, type Cache } from './exchange/cache.ts'
import { BothObservers } from './exchange/client/observer.ts'
import type { Route } from './exchange/routing/route.ts'
import { compileRoutes } from './exchange/routing/routes.ts'
import { configurationFingerprint } from './exchange/routing/sharing.ts'
import { AccessLog } from './log/access-log.ts'
import { createLogger, lineFormat } from './log/logger.ts'
import { targetMask } from './log/masking.ts'
import { linesDropped, standardOutput } from './log/outputs.ts'
import { RequestLog } from './log/request-log.ts'
import type { LineSink } from './log/sink.ts'
import { replyTo, Fleet } from './observe/fleet.ts'
import { Observation } from './observe/observation.ts'
import { Tail } from './observe/tail.ts'
import { OwnReport } from './observe/own-report.ts'
import { createOrigins } from './origin/origins.ts'
import { CertificateChoice } from './proxy/listener/certificates.ts'
import { createRedirect } from './proxy/listener/redirect.ts'
import { createProxy } from './proxy/proxy.ts'
import { keySetResponder } from './proxy/key-set.ts'
import { sessionSource } from './session/session-exchange.ts'
import { haveFacets, hasSources, openIdentities, type OpenIdentities } from './session/open.ts'
import { openSessionRedis, openStorage } from './storage.ts'
import { listenerTls, originConfigs } from './tls.ts'
import { watchFiles } from './watched-files.ts'

/** A running Springhouse. */
export interface App {
  readonly proxyUrl: string
  readonly adminUrl: string
  /** The listener that redirects to HTTPS. */
  readonly redirectUrl: string | undefined
  /** The kind of the store: `memory`, `redis` or `tiered`. */
  readonly storeKind: string
  /** True if Redis is in use now; undefined without Redis. */
  readonly redisReached: boolean | undefined
  /**
   * Reports that it is not ready. If `delayed`, it waits for `shutdownDelayMs`, so that load balancers notice. Then it stops
   * accepting, finishes requests in flight within the grace time, lets fills end, and closes everything.
   */
  close(how?: { readonly delayed: boolean }): Promise<void>
  /**
   * Takes up a new configuration without dropping a connection. Origins, routes and their rules, and the tokens of the admin
   * API, change at the next request; the users of Redis at the next connection. Settings that cannot change while it runs stay
   * as they were, and the log names them.
   * @throws Error for a file that cannot be used; then nothing changes.
   */
  reload(config: Config): Promise<readonly string[]>
}

/** @throws the listener's own error (EADDRINUSE, EACCES) with nothing left running. */
export async function startApp(
  options: { config: Config; clock?: Clock; logger?: Logger; accessSink?: Pick<LineSink, 'append'>; crew?: WorkerGroup; reload?: AdminReload },
): Promise<App> {
  const { clock = systemClock } = options
  let { config } = options
  const logger = options.logger ?? createLogger(config.log)
  let ready = false
  const counters = new Counters()
  const mask = targetMask(config.log.query)
  const tail = config.observe.enabled ? new Tail(clock, config.observe.tailPerSecond) : undefined
  const requestLog = new RequestLog({
    access: new AccessLog(config.log, { sink: options.accessSink ?? standardOutput, format: lineFormat(config.log) }),
    logger,
    clock,
    mask,
    tail,
    ...(options.crew !== undefined && { worker: String(process.pid) }),
  })
  const observation = config.observe.enabled
    ? new Observation({
      clock,
      historyMs: config.observe.history,
      closed: (step, row) => fleet?.closed(step, row),
      top: { clock, mask, sampleOneIn: config.observe.sampleOneIn, places: config.observe.topKeys },
    })
    : undefined
  const logged = new BothObservers(counters, requestLog)
  const observer = observation === undefined ? logged : new BothObservers(observation.observer, logged)
  const descriptors = shareDescriptors(openFilesLimit(), config.proxy.maxClients)
  const pools = createOrigins({ origins: originConfigs(config.origins), clock, logger, maxSockets: descriptors.origins })
  const origins = observation === undefined ? pools : observation.origins(pools)
  const storage = openStorage(config, clock, logger, observation?.timings)
  const { purgeLog, leases, unstored } = storage
  const store = observation?.timings.timed(storage.store) ?? storage.store
  const fleet = storage.redis === undefined || storage.replicas === undefined || config.redis === undefined
    ? undefined
    : new Fleet({
      redis: storage.redis,
      messages: storage.replicas.messages,
      prefix: config.redis.keyPrefix,
      replica: storage.replicas.own,
      clock,
      reportMs: config.observe.reportMs,
      historyMs: config.observe.history,
    })
  const { viaName } = config.proxy
  // Off, identities cost nothing but one check for each request.
  const sessionRedis = hasSources(config) ? openSessionRedis(config, storage, clock, logger) : undefined
  const identified: OpenIdentities | undefined = hasSources(config)
    ? await openIdentities({ config, trustsNoProxy: config.proxy.trustProxy === false, redis: sessionRedis, clock, logger, usesFacets: () => haveFacets(config) })
    : undefined
  const routes = compileRoutes(config)
  let shownRoutes = routesToShow(routes)
  const cache = createCache({
    clock,
    store,
    purgeLog,
    leases,
    unstored,
    origins,
    observer,
    viaName,
    ...(identified !== undefined && { identities: identified.identities }),
    routes,
    coalesce: config.cache.coalesce,
    coalesceWaitMs: config.cache.coalesceWait,
    purgeWaitMs: config.coherence.purgeWaitMs,
    publicHosts: config.proxy.trustProxy !== false,
    othersDiffer: () => storage.fingerprints?.mayDiffer === true,
  })
  const { tls: _paths, ...listening } = config.proxy
  const tls = listenerTls(config.proxy)
  const certificates = tls === undefined ? undefined : new CertificateChoice(tls)
  const proxy = createProxy({
    handler: cache,
    origins,
    observer,
    clock,
    ...(identified !== undefined && { answersItself: keySetResponder(identified.keySet) }),
    leaving: () => !ready,
    certificates,
    options: {
      ...listening,
      maxClients: descriptors.clients,
      maxRefused: descriptors.refused,
      ...(tls !== undefined && { tls }),
      timeouts: { requestMs: config.proxy.requestTimeoutMs, headersMs: config.proxy.headersTimeoutMs, keepAliveMs: config.proxy.keepAliveTimeoutMs,
        stalledMs: config.proxy.stalledTimeoutMs },
    },
  })
  const sessionsDegraded = sessionRedis?.own === true ? { sessionsDegraded: () => sessionRedis.connections.impaired } : {}
  const ownReport = new OwnReport({
    clock,
    counters,
    store,
    purgeLog,
    observation,
    version,
    maxLagMs: config.coherence.maxLagMs,
    ready: () => ready,
    degraded: () => degraded({ store, purgeLog, ...sessionsDegraded }),
  })
  const admin = createAdmin({
    get tokens() {
      return config.admin.tokens
    },
    dashboard: config.admin.dashboard,
    sessionTtlMs: config.admin.sessionTtl,
    loginsPerMinute: config.admin.loginsPerMinute,
    store,
    purgeLog,
    origins,
    counters,
    observation,
    tail,
    fleet,
    ownState: () => ownReport.process(),
    routes: () => shownRoutes,
    ...(identified !== undefined &&
      { sessionCounts: () => identified.counters, tokenCounts: () => identified.tokenCounters, sessionAdministration: identified.administration,
        keySet: () => identified.keySet() }),
    ...sessionsDegraded,
    clock,
    logger,
    fingerprints: storage.fingerprints,
    linesDropped,
    explain: cache.explain,
    keyed: cache.keyed,
    purge: cache.purge,
    nextTurn: () => setImmediate(),
    defaultPurgeWaitMs: config.coherence.purgeWaitMs,
    config: () => maskSecrets(config),
    ready: () => ready,
    version,
    workers: options.crew,
    reload: options.reload,
  })

  // Node closes further connections at once. Without a bound they could take the descriptors of clients.
  admin.server.maxConnections = descriptors.admin

  const { redirectPort } = config.proxy
  const redirect = redirectPort === undefined
    ? undefined
    : createRedirect({ httpsPort: () => portOf(proxy.server), maxHeaderBytes: config.proxy.maxHeaderBytes, maxConnections: descriptors.refused })
  const renewCertificates = (settings: Config['proxy']): void => {
    const renewed = listenerTls(settings)
    if (renewed !== undefined) certificates?.renew(renewed, proxy.server as HttpsServer)
  }
  const watch = watchFiles(() => config.proxy.tls === undefined ? [] : listenerPems(config.proxy.tls).flatMap(({ cert, key }) => [cert ?? [], key ?? []].flat()), () => {
    try {
      renewCertificates(config.proxy)
      logger.info('the files of proxy.tls have changed, and are used from now on')
    } catch (error) {
      logger.error({ err: error }, 'the files of proxy.tls have changed and cannot be used; the running certificates stay in force')
    }
  })

  const proxyDrain = drainable(proxy.server)
  const adminDrain = drainable(admin.server)
  const closeAll = async ({ delayed } = { delayed: false }): Promise<void> => {
    const wasReady = ready
    ready = false
    const { shutdownDelayMs, shutdownGraceMs } = config.proxy
    // Until the delay is over all goes on as before, except that connections are closed after their responses.
    if (wasReady && delayed && shutdownDelayMs > 0)
      await new Promise(resolve => {
        setTimeout(resolve, shutdownDelayMs)
      })
    // All steps share one grace time: time that the first takes is not there for the next.
    const deadline = clock.monotonic() + shutdownGraceMs
    const left = (): number => Math.max(0, deadline - clock.monotonic())
    // The admin listener goes last: until then /readyz says 503.
    watch.stop()
    redirect?.close()
    redirect?.closeAllConnections()
    await proxyDrain.drain(() => proxy.close(), left())
    await untilFilled(cache, clock, deadline)
    await adminDrain.drain(() => admin.close(), left())
    observation?.close()
    await fleet?.close()
    await origins.close()
    identified?.close()
    sessionRedis?.close()
    await storage.close()
  }
  try {
    await storage.opened()
    await identified?.opened()
    await proxy.listen({ host: config.proxy.host, port: config.proxy.port })
    await admin.listen({ host: config.admin.host, port: config.admin.port })
    if (redirect !== undefined) await listenOn(redirect, config.proxy.host, redirectPort as number)
  } catch (error) {
    await closeAll()
    throw error
  }
  ready = true
  fleet?.start({ report: () => ownReport.report(), reply: question => replyTo(observation, question) })
  return {
    proxyUrl: urlOf(proxy, config.proxy.host, tls === undefined ? 'http' : 'https'),
    adminUrl: urlOf(admin, config.admin.host),
    redirectUrl: redirect && `http://${hostOf(config.proxy.host)}:${portOf(redirect)}`,
    storeKind: store.stats().kind,
    get redisReached() {
      return storage.reached
    },
    close: closeAll,
    async reload(next) {
      // A route that requires a user would be open until the next start.
      for (const source of new Set(next.routes.flatMap(({ identity, key }) => (identity.required || key.facets.length > 0 ? identity.sources ?? [sessionSource] : [])))) {
        const runs = source === sessionSource ? config.sessions.enabled : config.auth.jwt.some(({ name }) => name === source)
        if (!runs) throw new Error(`routes identify requests by ${source}, which is not there before the next start`)
      }
      // Before anything changes: a file that cannot be read leaves the running configuration.
      const servers = originConfigs(next.origins)
      const renewKeys = identified?.renewal(next.sessions.keys)
      const waiting = changedForGood(config, next)
      if (waiting.length > 0) logger.warn({ settings: waiting }, 'these settings have changed, and wait for the next start')
      // A certificate that does not fit its key leaves the running ones.
      const reloaded = withPemsOf(config.proxy, next.proxy)
      renewCertificates(reloaded)
      renewKeys?.()
      const ownRedis = withCredentials(config.sessions.redis, next.sessions.redis)
      if (ownRedis !== undefined && sessionRedis?.own === true) sessionRedis.connections.renewUsers(ownRedis)
      const redis = withCredentials(config.redis, next.redis)
      if (redis !== undefined) {
        storage.renewUsers(redis)
        logger.info('user or password for Redis are others: connections that are made from now on use them')
      }
      config = {
        ...config,
        proxy: reloaded,
        admin: { ...config.admin, tokens: next.admin.tokens },
        ...(redis !== undefined && { redis }),
        sessions: { ...config.sessions, ...(ownRedis !== undefined && { redis: ownRedis }),
          keys: (config.sessions.keys.length > 0 && next.sessions.keys.length > 0 ? next : config).sessions.keys },
        origins: next.origins,
        routes: next.routes,
        cache: { ...config.cache, keepStale: next.cache.keepStale, maxEntryBytes: next.cache.maxEntryBytes, tags: next.cache.tags },
      }
      const reloadedRoutes = compileRoutes(config)
      // First the origins, because the routes lead to them.
      origins.reload(servers)
      cache.reload(reloadedRoutes)
      shownRoutes = routesToShow(reloadedRoutes)
      observation?.numbers.keep(new Set(shownRoutes.map(({ id }) => id)))
      storage.fingerprints?.change(configurationFingerprint(config))
      logger.info({ routes: reloadedRoutes.length }, 'configuration reloaded')
      return waiting
    },
  }
}

const version = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version

/** The routes as the admin API shows them. Routes with the same id are one, because they share their numbers. */
function routesToShow(routes: readonly Route[]): ShownRoute[] {
  const shown = new Map<string, ShownRoute>()
  for (const { id, origin, rules } of routes) if (!shown.has(id)) shown.set(id, { id, origin, mode: rules.enabled ? 'cache' : 'bypass' })
  return [...shown.values()]
}

/** The sections that are read once, at the start, and differ. */
function changedForGood(running: Config, next: Config): string[] {
  const sections = ['proxy', 'admin', 'redis', 'coherence', 'log', 'observe', 'sessions', 'auth', 'workers'] as const
  const [before, after] = [withoutRenewable(running), withoutRenewable(next)]
  const changed: string[] = sections.filter(name => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  if (JSON.stringify(running.cache.memory) !== JSON.stringify(next.cache.memory)) changed.push('cache.memory')
  return changed
}

// Less what a reload takes up in the sections that are otherwise read at the start.
function withoutRenewable({ admin: { tokens: _tokens, ...admin }, redis, proxy, sessions: { keys, redis: ownRedis, ...sessions }, ...others }: Config) {
  const { cert: _cert, key: _key, certificates: _certificates, ...tls } = proxy.tls ?? {}
  return { ...others, proxy: { ...proxy, tls: proxy.tls && tls }, admin, redis: redis && withoutCredentials(redis),
    sessions: { ...sessions, redis: ownRedis && withoutCredentials(ownRedis), sharesKeys: keys.length === 0 } }
}

/** The running settings, with the certificates of the next ones. */
function withPemsOf(running: Config['proxy'], next: Config['proxy']): Config['proxy'] {
  if (running.tls === undefined || next.tls === undefined) return running
  const { cert, key, certificates } = next.tls
  const { cert: _cert, key: _key, ...kept } = running.tls
  return { ...running, tls: { ...kept, certificates, ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) } }
}

async function listenOn(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host)
  await once(server, 'listening')
}

// Fills whose client has left run on; what they have not brought when the grace is over is given up.
async function untilFilled(cache: Cache, clock: Clock, deadline: number): Promise<void> {
  while (cache.filling > 0 && clock.monotonic() < deadline)
    await new Promise(resolve => {
      setTimeout(resolve, 10)
    })
}

function urlOf(listener: FastifyInstance, host: string, scheme: 'http' | 'https' = 'http'): string {
  return `${scheme}://${hostOf(host)}:${portOf(listener.server)}`
}

function hostOf(host: string): string {
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return shown.includes(':') ? `[${shown}]` : shown
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
