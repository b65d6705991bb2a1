// The access line and the choice of requests that get one.
import { closeSync, openSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import type { LogConfig } from '../../src/config/schema.ts'
import { accessLine, type AccessRecord } from '../../src/log/access-line.ts'
import { AccessLog } from '../../src/log/access-log.ts'
import { targetMask } from '../../src/log/masking.ts'
import { heldBytes, LineSink } from '../../src/log/sink.ts'
import { anyText } from '../support/any-text.ts'

const config: LogConfig = { level: 'info', pretty: false, access: 'all', sampleOneIn: 100, slowMs: 1000, query: [] }
const record: AccessRecord = { timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 67), outcome: 'hit', reason: 'fresh', status: 200, method: 'GET', host: 'api.example', target: '/a?b=c',
  bytes: 12, ms: 1.26, requestId: 'id-1' }
const everything: Required<AccessRecord> = {
  ...record,
  route: 'api@*/',
  key: '0123456789ab',
  origin: 'api',
  server: 'http://10.0.0.1:80',
  originMs: 12.34,
  tries: 2,
  notStored: 'no-store',
  session: 'live',
  ageMs: 1500,
  client: '192.0.2.1',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  worker: '77',
}

const parsed = (line: string): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>
const noMask = (target: string): string => target

t.test('the line is one JSON object that names what applies to the request, and nothing else', (t) => {
  t.equal(accessLine(record, targetMask([])),
    '{"level":30,"time":"2026-01-02T03:04:05.067Z","msg":"request","outcome":"hit","reason":"fresh","status":200,"method":"GET","host":"api.example","target":"/a?b=***","bytes":12,"ms":1.3,"requestId":"id-1"}\n')
  t.strictSame(parsed(accessLine(everything, noMask)), {
    level: 30,
    time: '2026-01-02T03:04:05.067Z',
    msg: 'request',
    outcome: 'hit',
    reason: 'fresh',
    status: 200,
    method: 'GET',
    host: 'api.example',
    target: '/a?b=c',
    route: 'api@*/',
    key: '0123456789ab',
    bytes: 12,
    ms: 1.3,
    requestId: 'id-1',
    origin: 'api',
    server: 'http://10.0.0.1:80',
    originMs: 12.3,
    tries: 2,
    notStored: 'no-store',
    session: 'live',
    ageMs: 1500,
    client: '192.0.2.1',
    traceId: '0af7651916cd43dd8448eb211c80319c',
    worker: '77',
  })
  t.match(parsed(accessLine({ ...record, status: 502, outcome: 'error' }, noMask)), { level: 50 })
  t.match(parsed(accessLine({ ...record, status: 503, outcome: 'pass' }, noMask)), { level: 50 })
  t.match(parsed(accessLine({ ...record, status: 404 }, noMask)), { level: 30 })
  for (const ms of [9, 99, 999, 1000]) t.equal(parsed(accessLine({ ...record, timeMs: ms }, noMask)).time, new Date(ms).toISOString())
  t.end()
})

t.test('whatever a request holds, its line is one line of printable ASCII, and parses to what was given', (t) => {
  const any = fc.oneof(anyText(),
    fc.string({ unit: fc.constantFrom('\u0000', '\n', '\r', '"', '\\', '\u001b', '\u009b', '\u007f', '\u2028', '\ud800', '\udfff', '\u202e', 'é', 'a') }))
  const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(Number.NaN, Infinity, -1, 8.65e15, Number.MAX_VALUE))
  const records = fc.record({
    timeMs: number,
    outcome: any,
    reason: any,
    status: number,
    method: any,
    host: any,
    target: any,
    bytes: number,
    ms: number,
    requestId: any,
    route: any,
    key: any,
    origin: any,
    server: any,
    originMs: number,
    tries: number,
    notStored: any,
    ageMs: number,
    client: any,
    traceId: any,
    worker: any,
  })
  fc.assert(fc.property(records, (each) => {
    const line = accessLine(each, noMask)
    if (!/^[ -~]*\n$/.test(line)) return false
    const back = parsed(line)
    return back.msg === 'request' && (['method', 'host', 'target', 'requestId', 'client'] as const).every((name) => back[name] === each[name])
  }))
  fc.assert(fc.property(any, (target) => parsed(accessLine({ ...record, target }, targetMask([]))).msg === 'request'))
  const endless = '\u0000'.repeat(100_000)
  const texts = ['outcome', 'reason', 'method', 'host', 'target', 'requestId', 'route', 'key', 'origin', 'server', 'notStored', 'session', 'client', 'traceId', 'worker'] as const
  const long = accessLine({ ...everything, ...Object.fromEntries(texts.map((name) => [name, endless])) }, noMask)
  t.ok(long.length < heldBytes, 'and fits into what a sink holds')
  t.match(parsed(long), { msg: 'request' })
  t.end()
})

t.test('log.access says which requests get a line', (t) => {
  const lots: number[] = []
  const log = (more: Partial<LogConfig>): AccessLog =>
    new AccessLog({ ...config, ...more }, { sink: { append: () => {} }, format: (line) => line, random: () => lots.shift() ?? 0.5 })
  const requests = [[200, false, 5], [404, false, 5], [404, true, 5], [500, false, 5], [504, true, 5], [200, false, 1000], [200, false, 999]] as const
  const chosen = (access: AccessLog): boolean[] => requests.map(([status, isError, ms]) => access.wants(status, isError, ms))
  t.strictSame(chosen(log({ access: 'off' })), [false, false, false, false, false, false, false])
  t.strictSame(chosen(log({ access: 'errors' })), [false, false, true, true, true, false, false])
  t.strictSame(chosen(log({ access: 'sampled' })), [false, false, true, true, true, true, false])
  t.strictSame(chosen(log({ access: 'all' })), [true, true, true, true, true, true, true])
  t.equal(log({ access: 'sampled', slowMs: 5 }).wants(200, false, 5), true)
  t.equal(log({ access: 'sampled', sampleOneIn: 1 }).wants(200, false, 0), true)
  lots.push(0.0099, 0.01, 0.99, 0)
  const sampled = log({ access: 'sampled', sampleOneIn: 100 })
  t.strictSame([1, 2, 3, 4].map(() => sampled.wants(200, false, 0)), [true, false, false, true])
  t.end()
})

t.test('lines reach the sink in order with those of the logger, masked by log.query and shown as the format says', async (t) => {
  const file = `${t.testdir()}/log`
  const fd = openSync(file, 'a')
  t.teardown(() => closeSync(fd))
  const sink = new LineSink({ fd, isFile: true }, (lost) => `lost ${lost}\n`)
  const log = new AccessLog({ ...config, query: ['b'] }, { sink, format: (line) => line })
  log.write(record)
  t.equal(readFileSync(file, 'utf8'), '', 'not while the request is handled')
  sink.write('{"msg":"a line of the logger"}\n')
  log.write({ ...record, target: '/a?b=1&token=2' })
  await new Promise(setImmediate)
  t.match(readFileSync(file, 'utf8').trimEnd().split('\n').map(parsed), [{ target: '/a?b=c' }, { msg: 'a line of the logger' }, { target: '/a?b=1&token=***' }])
  new AccessLog(config, { sink, format: () => 'for people\n' }).write(record)
  await new Promise(setImmediate)
  t.ok(readFileSync(file, 'utf8').endsWith('for people\n'))
})
