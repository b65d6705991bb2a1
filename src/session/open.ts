// Sessions and bearer tokens, put together: stores, keys and the parts that requests use, with what an operator should know at the start.
import type { Clock } from '../clock.ts'
import type { Config, SessionsConfig } from '../config/schema.ts'
import type { Identities } from '../exchange/client/identities.ts'
import { channelName, type RedisConnections } from '../store/redis/connect/connections.ts'
import { watchMemoryPolicy } from '../store/redis/connect/eviction-policy-check.ts'
import { Subscription } from '../store/redis/connect/subscription.ts'
import type { Log } from '../store/redis/connect/log.ts'
import { SessionAdministration } from './administration.ts'
import { AnonymousLimit } from './anonymous-limit.ts'
import { SessionCounters, TokenCounters } from './counters.ts'
import { SessionField } from './field.ts'
import { addressOf, RequestIdentities } from './identities.ts'
import { openTokens } from './jwt/open.ts'
import { configuredKeys, FixedKeys, ownKey, SharedKeys, type Keyring } from './keyring.ts'
import type { SessionParts } from './parts.ts'
import type { SenderParts } from './sender.ts'
import { Sessions } from './sessions.ts'
import { SessionCopies } from './store/copies.ts'
import { MemorySessionStore } from './store/memory.ts'
import { RedisSessionStore } from './store/redis.ts'
import type { SessionStore } from './store/store.ts'
import { Streams } from './streams.ts'
import { Touches } from './touches.ts'

export interface OpenIdentitiesOptions {
  readonly config: Pick<Config, 'sessions' | 'auth'>
  /** True if the addresses of clients are those of the peers (`proxy.trustProxy: false`). */
  readonly trustsNoProxy: boolean
  /** The Redis of the sessions and the prefix of its keys; undefined: sessions are in this process. */
  readonly redis: { readonly connections: RedisConnections; readonly prefix: string; readonly connectTimeoutMs: number; readonly own: boolean } | undefined
  readonly clock: Clock
  readonly logger: Log
  usesFacets(): boolean
}

/** The sources of identity of a process. */
export interface OpenIdentities {
  readonly identities: Identities
  readonly counters: SessionCounters
  readonly tokenCounters: TokenCounters
  /** undefined: sessions are off. */
  readonly administration: SessionAdministration | undefined
  /** The public keys as a JSON text. @throws SpringhouseError SESSION_UNAVAILABLE while there are none */
  keySet(): string
  /** Resolves when requests can be identified, or when Redis or a provider is out of reach. */
  opened(): Promise<void>
  /** Reads other keys, and returns a function that takes them up. @throws Error that names the setting and the file */
  renewal(keys: SessionsConfig['keys']): () => void
  close(): void
}

/** True if a configuration has sources of identity. */
export function hasSources({ sessions, auth }: Pick<Config, 'sessions' | 'auth'>): boolean {
  return sessions.enabled || auth.jwt.length > 0
}

/** @throws Error (rejects) for a key that cannot be used, with its setting and file */
export async function openIdentities(options: OpenIdentitiesOptions): Promise<OpenIdentities> {
  const { config: { sessions: config, auth }, redis, clock, logger } = options
  const configured = config.keys.length > 0 ? new FixedKeys(configuredKeys(config.keys)) : undefined
  const shared = configured === undefined && redis !== undefined ? new SharedKeys(redis.connections.small, redis.prefix) : undefined
  const keyring: Keyring = configured ?? shared ?? ownKey()
  const tokenCounters = new TokenCounters()
  const verifier = await openTokens({ config: auth.jwt, clock, logger, counters: tokenCounters })
  const field = new SessionField({ keyring, clock, issuer: config.issuer, ttlMs: config.headerTtl })
  const counters = new SessionCounters()
  const sender = { field, headers: Object.entries(config.headers) }
  const sessions = config.enabled ? openSessions(options, counters, sender) : undefined
  const identities = new RequestIdentities({ ...sender, sessions: sessions?.parts, tokens: verifier && { verifier, counters: tokenCounters }, clock })
  if (redis !== undefined && config.keys.length === 0)
    logger.warn({}, 'sessions.keys is empty: the key that signs the field to backends is in Redis, and a backup of it can sign')
  return {
    identities,
    counters,
    tokenCounters,
    administration: sessions?.administration,
    keySet: () => keyring.published(),
    opened: async () => {
      if (redis !== undefined) await untilConnected(redis.connections, redis.connectTimeoutMs)
      await Promise.all([shared?.refresh(), verifier?.reload()])
    },
    renewal: keys => {
      // The start decides if keys are configured or shared.
      const next = configured !== undefined && keys.length > 0 ? configuredKeys(keys) : undefined
      return () => {
        if (next !== undefined) configured?.replace(next)
        // A file of a provider's keys may have changed. Requests go on with the keys at hand.
        void verifier?.reload()
      }
    },
    close: () => {
      shared?.close()
      verifier?.close()
      sessions?.close()
    },
  }
}

interface OpenSessions {
  readonly parts: SessionParts
  readonly administration: SessionAdministration
  close(): void
}

function openSessions(options: OpenIdentitiesOptions, counters: SessionCounters, sender: SenderParts): OpenSessions {
  const { config: { sessions: config }, redis, clock, logger, usesFacets } = options
  const channel = redis === undefined ? '' : channelName(redis.connections, redis.prefix, 'sessions')
  const store: SessionStore = redis === undefined
    ? new MemorySessionStore({ clock, maxBytes: config.memory.maxBytes, ended: sid => streams.ended(sid) })
    : new RedisSessionStore(redis.connections.small, redis.prefix, channel)
  const streams = new Streams({ store, recheckMs: config.streams.recheck, cut: () => counters.streamCut() })
  const subscription = redis === undefined ? undefined : new Subscription({
    redis: redis.connections,
    channel,
    name: 'sessions',
    without: 'streams of ended sessions are closed at the next check',
    logger,
    message: streams.ended,
    heard: streams.recheck,
    lost: () => undefined,
  })
  const sessions = new Sessions(store, {
    lifetimes: { idleMs: config.idle, absoluteMs: config.absolute },
    remembered: { idleMs: config.remember.idle, absoluteMs: config.remember.absolute },
    maxBytes: config.maxBytes,
    rotationGraceMs: config.rotationGrace,
    perUser: config.perUser,
  })
  const copies = redis === undefined ? undefined : new SessionCopies(redis.connections, redis.prefix)
  warn(options)
  return {
    parts: {
      ...sender,
      store,
      sessions,
      counters,
      clock,
      touches: new Touches(clock),
      streams,
      limit: new AnonymousLimit(config.anonymousPerMinute, clock),
      cookie: { ...config.cookie, domain: config.cookie.domain },
      rotationGraceMs: config.rotationGrace,
      csrf: { mode: config.csrf.mode, trustedOrigins: new Set(config.csrf.trustedOrigins) },
      usesFacets,
      addressOf,
    },
    administration: new SessionAdministration({ store, sessions, copied: sids => copies?.confirmed(sids) ?? Promise.resolve(true) }),
    close: () => {
      streams.close()
      subscription?.close()
    },
  }
}

/** Waits no longer than a connection may take. Sessions are unavailable until Redis is there. */
async function untilConnected(connections: RedisConnections, patienceMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, patienceMs)
  })
  const outOfReach = new Promise<void>(resolve => {
    if (connections.degraded) resolve()
    connections.whenDegraded(resolve)
  })
  await Promise.race([late, outOfReach, connections.ready()])
  clearTimeout(timer)
}

function warn({ config: { sessions: config }, trustsNoProxy, redis, logger }: OpenIdentitiesOptions): void {
  if (redis === undefined) logger.warn({}, 'sessions are in the memory of this process, and end with it; set redis.url to keep them')
  else if (!redis.own) watchMemoryPolicy(redis.connections.small.client, logger, error => redis.connections.permissions.refused(error), unfitForSessions)
  if (config.anonymousPerMinute > 0 && trustsNoProxy)
    logger.warn({}, 'sessions.anonymousPerMinute counts the addresses of peers: behind a load balancer that proxy.trustProxy does not name, all clients share one')
}

/** Returns why the memory settings of a Redis, in the reply to INFO memory, may end sessions; undefined if they do not. */
export function unfitForSessions(info: string): string | undefined {
  const limit = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0)
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? ''
  if (limit === 0 || policy === 'noeviction') return undefined
  return `maxmemory-policy is ${policy}: Redis may evict sessions, and each is a log-out; give sessions a Redis of their own with noeviction (sessions.redis)`
}

/** True if a configuration has routes with facets. */
export function haveFacets({ routes }: Pick<Config, 'routes'>): boolean {
  return routes.some(({ key }) => key.facets.length > 0)
}
