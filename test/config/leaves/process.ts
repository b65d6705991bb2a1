// Probes of the log, and of settings that make other processes.
import { resolveConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import type { LogConfig } from '../../../src/config/schema.ts'
import { createLogger, lineFormat } from '../../../src/log/logger.ts'
import { anyPort, origin, Running } from '../../cli/command.ts'
import { eventually } from '../../support/log.ts'
import { startRedis } from '../../support/redis.ts'
import { each, withSetting, type Probe, type Settings } from './probe.ts'

const least: Settings = { origins: { api: { servers: ['http://127.0.0.1:9'] } } }

/** Observes the log with each of two values. */
const log = (values: readonly [unknown, unknown], expected: readonly [unknown, unknown], see: (config: LogConfig) => unknown, others: Settings = {}): Probe => (_t, path) => {
  const [first, second] = values.map((value) => {
    let settings = least
    for (const [other, given] of Object.entries(others)) settings = withSetting(settings, other, given)
    try {
      return see(resolveConfig(withSetting(settings, path, value)).log)
    } catch (error) {
      if (error instanceof ConfigError) return 'refused'
      throw error
    }
  })
  return { seen: [first, second], expected }
}

/** Observes which of three requests have a line in the access log: a quick one, a failed one, a slow one. */
const lines = (values: readonly [unknown, unknown], expected: readonly [unknown, unknown], others: Settings = {}): Probe => {
  let slow: () => void = () => {}
  return each({
    values,
    expected,
    with: others,
    origin: (request, response) => {
      if (request.url === '/slow') slow()
      response.writeHead(request.url === '/failed' ? 500 : 200).end()
    },
    see: async (proxy) => {
      slow = () => proxy.manual.advance(600)
      for (const path of ['/quick', '/failed', '/slow']) await proxy.get(path)
      const requested = (): boolean => proxy.origin.requests.length === 3
      await eventually(requested)
      // The exchange may end a turn after its response.
      for (let turns = 0; turns < 5; turns++)
        await new Promise((resolve) => {
          setImmediate(resolve)
        })
      return proxy.accessLines.map(({ target }) => target)
    },
  })
}

export const processes: Readonly<Record<string, Probe>> = {
  'log.level': log(['info', 'error'], [true, false], (config) => createLogger(config).isLevelEnabled('info')),
  'log.pretty': log([false, true], [true, false], (config) => lineFormat(config)('{"level":30,"time":"2026-01-01T00:00:00.000Z","msg":"a"}\n').startsWith('{')),
  'log.access': lines(['errors', 'all'], [['/failed'], ['/quick', '/failed', '/slow']]),
  'log.sampleOneIn': lines([1_000_000, 1], [['/failed'], ['/quick', '/failed', '/slow']], { 'log.access': 'sampled' }),
  'log.slowMs': lines(['1s', '500ms'], [['/failed'], ['/failed', '/slow']], { 'log.access': 'sampled', 'log.sampleOneIn': 1_000_000 }),
  'log.query': each({
    values: [[], ['page']],
    expected: ['/?page=***', '/?page=2'],
    with: { 'log.access': 'all' },
    see: async (proxy) => {
      await proxy.get('/?page=2')
      await eventually(() => proxy.accessLines.length > 0)
      return proxy.accessLines[0]?.['target']
    },
  }),
  // Nothing is built behind it yet, and a configuration that sets it is refused.
  workers: async (t) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const seen = await Promise.all([1, 2].map(async (workers) => {
      const serve = new Running(t, ['serve', ...origin, ...anyPort, '--redis', redis.url, '--workers', String(workers)], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' })
      const [said] = await serve.says(/^springhouse is ready\n[^]*origin.*\n(?:\s+workers.*\n)?/m)
      serve.child.kill('SIGTERM')
      await serve.ended
      return /workers\s+(\d+)/.exec(said)?.[1]
    }))
    return { seen: seen as unknown as [unknown, unknown], expected: [undefined, '2'] }
  },
}
