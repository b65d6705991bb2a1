// Errors that many requests meet at once: one line a minute, with the number of the others.
import t from 'tap'
import { SpringhouseError, type ErrorCode } from '../../src/errors.ts'
import type { ClientExchange } from '../../src/exchange/client/exchange.ts'
import { RequestLog } from '../../src/log/request-log.ts'
import type { AccessLog } from '../../src/log/access-log.ts'
import { manualClock } from '../support/manual-clock.ts'

// The guard: #countOf.
t.test('an error of this side that many requests meet has one line a minute', async (t) => {
  const clock = manualClock()
  const lines: { readonly code: ErrorCode; readonly more?: number }[] = []
  const line = (details: object): void => void lines.push(details as (typeof lines)[number])
  const log = new RequestLog({ access: {} as AccessLog, clock, mask: (target) => target, logger: { debug: line, warn: line, error: line } })
  const exchange = { head: { method: 'GET', url: '/', rawHeaders: [] }, requestId: 'a' } as unknown as ClientExchange
  const fail = (code: ErrorCode): void => log.failed(new SpringhouseError(code), exchange)
  for (let i = 0; i < 5; i++) for (const code of ['PROXY_BUSY', 'PROXY_EXHAUSTED'] as const) fail(code)
  t.match(lines, [{ code: 'PROXY_BUSY' }, { code: 'PROXY_EXHAUSTED' }])
  t.equal(lines.length, 2)
  clock.advance(59_999)
  fail('PROXY_BUSY')
  clock.advance(1)
  fail('PROXY_BUSY')
  t.equal(lines.length, 3)
  t.match(lines[2], { code: 'PROXY_BUSY', more: 5 })
  for (let i = 0; i < 3; i++) fail('ORIGIN_RESET')
  t.equal(lines.length, 6, 'each other error has its own line')
})
