// The schema of every setting: type, bounds, default, unit and prose. All else about configuration derives from it.
import { Type, type Static } from '../json-schema.ts'
import { authSchema } from './schema/auth.ts'
import { section } from './schema/leaf.ts'
import { adminSchema, coherenceSchema, logSchema, observeSchema, proxySchema } from './schema/listeners.ts'
import { type originSchema, originsSchema } from './schema/origins.ts'
import { type routeSchema, routesSchema } from './schema/routes.ts'
import { sessionsSchema } from './schema/sessions.ts'
import { cacheSchema, redisSchema } from './schema/storage.ts'

export const configSchema = section({
  proxy: proxySchema,
  admin: adminSchema,
  redis: Type.Optional(redisSchema),
  origins: originsSchema,
  routes: routesSchema,
  cache: cacheSchema,
  coherence: coherenceSchema,
  log: logSchema,
  observe: observeSchema,
  sessions: sessionsSchema,
  auth: authSchema,
  workers: Type.Union([Type.Integer({ minimum: 1, maximum: 256 }), Type.Literal('auto')], {
    default: 1,
    expects: 'a whole number from 1 to 256, or auto',
    description: 'Number of processes that share the listeners, or `auto` for one per processor. More than one needs Redis; without Redis `auto` is 1.',
  }),
})

/**
 * The whole configuration, as the program uses it: every default filled in, and numbers plain, whatever unit the
 * operator wrote. Durations are **milliseconds**, also where the name does not end in Ms (`ttl.max`, `keepStale`),
 * and sizes are **bytes**. Host patterns and field names are in lower case, server URLs are bare origins.
 */
export type Config = Static<typeof configSchema>
export type ProxyConfig = Static<typeof proxySchema>
export type RedisConfig = Static<typeof redisSchema>
export type OriginSettings = Static<typeof originSchema>
export type RouteConfig = Static<typeof routeSchema>
export type CacheConfig = Static<typeof cacheSchema>
export type SessionsConfig = Static<typeof sessionsSchema>
export type AuthConfig = Static<typeof authSchema>
export type LogConfig = Static<typeof logSchema>
