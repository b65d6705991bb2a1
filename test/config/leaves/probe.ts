// A probe: the program is started with two values of one setting, and its visible behaviour must differ.
import type { Test } from 'tap'
import { systemClock, type Clock } from '../../../src/clock.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import { startProxy, token, type TestProxy } from '../../support/proxy.ts'
import { manualClock, type ManualClock } from '../../support/manual-clock.ts'
import { startOrigin, type OriginHandler, type ScriptedOrigin } from '../../support/scripted-origin.ts'

/** The observation for each of the two values, and the expected one. */
export interface Seen {
  readonly seen: readonly [unknown, unknown]
  readonly expected: readonly [unknown, unknown]
}

/** @param path the setting, as config/reference.md names it */
export type Probe = (t: Test, path: string) => Promise<Seen> | Seen

export type Settings = Readonly<Record<string, unknown>>

type Tree = Record<string, unknown>

/** Returns a copy of settings with one setting changed: `[]` is the first of a list, `<name>` the origin `api`. `undefined` removes it. */
export function withSetting(settings: Settings, path: string, value: unknown): Settings {
  const keys = path.replaceAll('[]', '.0').replaceAll('<name>', 'api').split('.')
  const copy = structuredClone(settings) as Tree
  let place = copy
  for (const [at, key] of keys.slice(0, -1).entries()) {
    place[key] ??= keys[at + 1] === '0' ? [] : {}
    place = place[key] as Tree
  }
  const last = keys.at(-1) as string
  if (value === undefined) delete place[last]
  else place[last] = value
  return copy
}

const settled: Settings = {
  proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 0 },
  admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'test', token, scopes: ['read', 'purge'] }] },
  routes: [{ match: {}, origin: 'api' }],
}

export interface Options {
  readonly values: readonly [unknown, unknown]
  /** Other settings, by path: the same with both values, but for the address of a server that each has for itself. */
  readonly with?: Settings | ((index: 0 | 1) => Settings)
  readonly origin?: OriginHandler
}

/** A proxy, the value that it has, and the number of that value: 0 or 1. */
export type Under = TestProxy<Clock> & { readonly value: unknown; readonly index: 0 | 1; readonly manual: ManualClock }

const plain: OriginHandler = (_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('body')

async function start(t: Test, path: string, { values, with: others = {}, origin: handler = plain }: Options, index: 0 | 1, clock: Clock): Promise<Under> {
  const origin: ScriptedOrigin = await startOrigin(handler)
  t.teardown(() => origin.close())
  let config = withSetting(settled, 'origins', { api: { servers: [origin.url] } })
  for (const [other, value] of Object.entries(typeof others === 'function' ? others(index) : others)) config = withSetting(config, other, value)
  config = withSetting(config, path, values[index])
  const house = await startProxy<Clock>(t, { origin, clock, config })
  return Object.assign(house, { value: values[index], index, manual: clock as ManualClock })
}

/** Observes each value in turn. A configuration that is refused is seen as `refused`. */
export function each(options: Options & { readonly expected: readonly [unknown, unknown]; readonly clock?: Clock; readonly see: (house: Under) => unknown }): Probe {
  return async (t, path) => {
    const seen: unknown[] = []
    for (const index of [0, 1] as const) {
      try {
        const house = await start(t, path, options, index, options.clock ?? manualClock())
        seen.push(await options.see(house))
        // Before the next one: entries of this one must not be seen there.
        await house.app.close()
      } catch (error) {
        if (!(error instanceof ConfigError) && !/certificate/.test((error as Error).message)) throw error
        seen.push('refused')
      }
    }
    return { seen: seen as [unknown, unknown], expected: options.expected }
  }
}

/** Two proxies at once: for the behaviour of one while the other waits. */
export function pair(
  options: Options & { readonly expected: readonly [unknown, unknown]; readonly see: (first: Under, second: Under) => Promise<readonly [unknown, unknown]> },
): Probe {
  return async (t, path) => {
    const [first, second] = await Promise.all([start(t, path, options, 0, systemClock), start(t, path, options, 1, systemClock)])
    return { seen: await options.see(first, second), expected: options.expected }
  }
}

/** Observes both when the second is done: for deadlines, of which the first is far off. No time is measured. */
export function raced(options: Options & { readonly ends: unknown; readonly see: (house: Under) => Promise<unknown> }): Probe {
  const { ends, see } = options
  return pair({
    ...options,
    expected: ['goes on', ends],
    see: async (first, second) => {
      let before: unknown = 'goes on'
      see(first).then((what) => {
        before = what
      }, () => {
        before = 'failed'
      })
      const after = await see(second)
      return [before, after]
    },
  })
}
