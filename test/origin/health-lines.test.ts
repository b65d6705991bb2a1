// A failed health check says what was requested, and what came back.
import { pino } from 'pino'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { createOrigins } from '../../src/origin/origins.ts'
import { eventually } from '../support/log.ts'
import { startOrigin } from '../support/scripted-origin.ts'

t.test('the line of a failed check has its path, and the status or the error', async (t) => {
  const unwell = await startOrigin((_, response) => response.writeHead(503).end())
  const cut = await startOrigin((_, response) => response.socket?.destroy())
  const lines: Record<string, unknown>[] = []
  const health = { path: '/health?deep=1', intervalMs: 100 }
  const { origins: configs } = resolveConfig({ origins: { unwell: { servers: [unwell.url], health }, cut: { servers: [cut.url], health } }, routes: [{ origin: 'cut' }] })
  const origins = createOrigins({ origins: configs, clock: systemClock,
    logger: pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) }) })
  t.teardown(async () => {
    await origins.close()
    await Promise.all([unwell.close(), cut.close()])
  })
  const lineOf = (origin: string) => lines.find((line) => line.origin === origin && /fails its health checks/.test(String(line.msg)))
  await eventually(() => lineOf('unwell') !== undefined && lineOf('cut') !== undefined)
  t.match(lineOf('unwell'), { path: '/health?deep=1', status: 503, msg: 'origin server fails its health checks: GET /health?deep=1 is 503' })
  t.match(lineOf('cut'), { path: '/health?deep=1', err: { type: 'Error' }, msg: 'origin server fails its health checks: GET /health?deep=1 gets no response' })
})
