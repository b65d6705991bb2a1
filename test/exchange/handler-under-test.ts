// The handler alone, between real sockets, over a store and a purge log that a test may bend.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolveConfig } from '../../src/config/load.ts'
import { Counters } from '../../src/exchange/counters.ts'
import { exchangeFor } from '../support/exchange.ts'
import { Handler, type HandlerParts } from '../../src/exchange/handle.ts'
import { compileRoutes } from '../../src/exchange/routing/routes.ts'
import { HitForMiss } from '../../src/exchange/coalesce/hit-for-miss.ts'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
import { Http1Response } from '../../src/proxy/listener/http1-response.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import type { PurgeLog } from '../../src/store/purge/log.ts'
import type { Body, Store, Stored } from '../../src/store/store.ts'
import { OwnUnstored } from '../../src/store/unstored.ts'
import { originsOf } from '../origin/origins-under-test.ts'
import { ask, type Answer, type Ask } from '../support/client.ts'
import { manualClock, type ManualClock } from '../support/manual-clock.ts'
import { startOrigin, type OriginHandler, type ScriptedOrigin } from '../support/scripted-origin.ts'

export interface Bench {
  readonly handler: Handler
  readonly origin: ScriptedOrigin
  readonly clock: ManualClock
  readonly log: PurgeLog
  readonly port: number
  /** Everything that `handle` has returned. */
  readonly outcomes: readonly ReturnType<Handler['handle']>[]
  get(path: string, headers?: Readonly<Record<string, string>>, more?: Ask): Promise<Answer>
}

export interface BenchOptions {
  readonly origin: OriginHandler
  /** Puts something between the handler and its store, or its purge log. */
  readonly store?: (store: Store) => Store
  readonly log?: (log: PurgeLog) => PurgeLog
  readonly parts?: Partial<HandlerParts>
}

export async function startHandler(t: { teardown(close: () => Promise<void>): void }, options: BenchOptions): Promise<Bench> {
  const origin = await startOrigin(options.origin)
  const clock = manualClock()
  const origins = originsOf({ servers: [origin.url], maxConnections: 64 }, clock)
  const config = resolveConfig({ origins: { api: { servers: [origin.url] } }, routes: [{ match: {}, origin: 'api' }] })
  const routes = compileRoutes(config)
  const memory = createMemoryStore({ maxBytes: 64_000_000, maxEntryBytes: 16_000_000, maxVariants: 8, clock })
  const log = createLocalPurgeLog({ clock })
  const observer = options.parts?.observer ?? new Counters()
  const handler = new Handler({
    clock,
    origins,
    store: options.store?.(memory) ?? memory,
    purgeLog: options.log?.(log) ?? log,
    observer,
    hitForMiss: new HitForMiss(clock),
    unstored: new OwnUnstored('local'),
    routes: () => routes,
    viaName: 'springhouse',
    via: '1.1 springhouse',
    coalesce: true,
    leases: undefined,
    coalesceWaitMs: 60_000,
    otherRoutes: () => false,
    purgeWaitMs: 0,
    ...options.parts,
  })
  const outcomes: ReturnType<Handler['handle']>[] = []
  const server = createServer({ ServerResponse: Http1Response }, (request, response) => {
    outcomes.push(handler.handle(exchangeFor(request, { response, observer })))
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise(resolve => {
      server.close(resolve)
    })
    await origins.close()
    await origin.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    handler,
    origin,
    clock,
    log,
    port,
    outcomes,
    get: (path, headers = {}, more = {}) => ask(port, { path, headers: Object.entries(headers).flat(), ...more }),
  }
}

/** The same store, further away: it replies later, like a store across a network. */
export function faraway(store: Store): Store {
  return {
    lookup: async key => {
      await later()
      return (await store.lookup(key)).map(remote)
    },
    write: (key, meta) => {
      const writer = store.write(key, meta)
      return {
        write: async chunk => {
          await later()
          await writer.write(chunk)
        },
        commit: async () => {
          await later()
          return writer.commit()
        },
        abort: () => writer.abort(),
      }
    },
    refresh: async (key, was, meta) => {
      await later()
      return store.refresh(key, was, meta)
    },
    remove: async (key, variant) => {
      await later()
      await store.remove(key, variant)
    },
    list: (cursor, limit) => store.list(cursor, limit),
    stats: () => store.stats(),
    close: () => store.close(),
  }
}

// A body outside memory: every part of it must be read.
function remote({ meta, body }: Stored): Stored {
  const far: Body = {
    bytes: undefined,
    read: async function* read(start, end) {
      await later()
      yield* body.read(start, end)
    },
  }
  return { meta, body: far }
}

/** A turn of the event loop: all pending events come before it. */
function later(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve)
  })
}
