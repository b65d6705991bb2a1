// Probes of the log, and of settings that make other processes.
import { resolveConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import type { LogConfig } from '../../../src/config/schema.ts'
import { AccessLog } from '../../../src/log/access-log.ts'
import { createLogger, lineFormat } from '../../../src/log/logger.ts'
import { anyPort, origin, Running } from '../../cli/command.ts'
import { startRedis } from '../../support/redis.ts'
import { withSetting, type Probe, type Settings } from './probe.ts'

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

const requests = [[200, 5], [500, 5], [200, 600]] as const

// Becomes a probe of a running proxy once its requests are wired to the access log.
const lines = (values: readonly [unknown, unknown], expected: readonly [unknown, unknown], others: Settings = {}): Probe => log(values, expected, (config) => {
  const access = new AccessLog(config, { sink: { append: () => {} }, format: (line) => line, random: () => 0.05 })
  return requests.map(([status, ms]) => access.wants(status, false, ms))
}, others)

const target = (config: LogConfig): string => {
  let text = ''
  const access = new AccessLog(config, { sink: { append: (line) => { text += line } }, format: (line) => line })
  access.write({ timeMs: 0, outcome: 'hit', reason: 'fresh', status: 200, method: 'GET', host: 'a', target: '/?page=2', bytes: 0, ms: 0, requestId: 'a' })
  return (JSON.parse(text) as { target: string }).target
}

export const processes: Readonly<Record<string, Probe>> = {
  'log.level': log(['info', 'error'], [true, false], (config) => createLogger(config).isLevelEnabled('info')),
  'log.pretty': log([false, true], [true, false], (config) => lineFormat(config)('{"level":30,"time":"2026-01-01T00:00:00.000Z","msg":"a"}\n').startsWith('{')),
  'log.access': lines(['errors', 'all'], [[false, true, false], [true, true, true]]),
  'log.sampleOneIn': lines([100, 10], [[false, true, false], [true, true, true]], { 'log.access': 'sampled' }),
  'log.slowMs': lines(['1s', '500ms'], [[false, true, false], [false, true, true]], { 'log.access': 'sampled' }),
  'log.query': log([[], ['page']], ['/?page=***', '/?page=2'], target),
  // Nothing is built behind it yet, and a configuration that sets it is refused.
  'sessions.enabled': log([false, true], ['starts', 'refused'], () => 'starts'),
  workers: async (t) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const seen = await Promise.all([1, 2].map(async (workers) => {
      const serve = new Running(t, ['serve', ...origin, ...anyPort, '--redis', redis.url, '--workers', String(workers)], { SPRINGHOUSE_ADMIN_TOKEN: 'abc' })
      const [said] = await serve.says(/^springhouse is ready\n[^]*origin.*\n(?:\s+workers.*\n)?/m)
      serve.child.kill('SIGTERM')
      await serve.ended
      return /workers\s+(\d+)/.exec(said)?.[1]
    }))
    return { seen: seen as unknown as [unknown, unknown], expected: [undefined, '2'] }
  },
}
