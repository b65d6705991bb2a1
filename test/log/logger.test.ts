// Errors in the log: their kind, code and reason are shown, from any caller, and nothing that was sent or stored.
import { fastify } from 'fastify'
import { Redis } from 'ioredis'
import { pino, type Logger } from 'pino'
import t from 'tap'
import { safeMessage, summarise } from '../../src/error-summary.ts'
import { safeErrors } from '../../src/log/logger.ts'
import { startRedis } from '../support/redis.ts'

const secret = 'a-secret-of-the-test'

function logger(): { log: Logger; text(): string; lines(): Record<string, unknown>[] } {
  let text = ''
  const log = pino({ level: 'trace', base: null, ...safeErrors }, { write: (line: string) => {
    text += line
  } })
  return { log, text: () => text, lines: () => text.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>) }
}

/** As ioredis and redis-errors make them. */
function replyError(message: string, name = 'evalsha'): Error {
  const error = Object.assign(new Error(message), { command: { name, args: [secret, Buffer.from(secret)] } })
  error.name = 'ReplyError'
  return error
}

t.test('a real error of Redis is logged by kind, code and name of the command, and its arguments are not', async (t) => {
  const server = await startRedis()
  const client = new Redis(server.url)
  t.teardown(async () => {
    client.disconnect()
    await server.stop()
  })
  await client.set('k', 'text')
  const errors = await Promise.all([
    client.call('NOSUCH', secret),
    client.hset('k', secret, secret),
    client.call('SET', secret),
    client.evalsha(secret, 1, 'k', secret),
    client.eval(`return redis.error_reply('${secret} ${secret}')`, 0),
    client.eval(`error('${secret}')`, 0),
    client.select(99),
    client.call('AUTH', 'nobody', secret),
  ].map((reply: Promise<unknown>) => reply.then(() => t.fail('an error'), (error: unknown) => error)))
  const { log, text, lines } = logger()
  for (const err of errors) log.warn({ err }, 'told')
  t.notMatch(text(), secret)
  t.match(lines().map(({ err }) => err), [
    { type: 'ReplyError', message: 'ERR unknown command', command: 'NOSUCH' },
    { type: 'ReplyError', message: /^WRONGTYPE Operation against a key holding the wrong kind of value/, command: 'hset' },
    { message: 'ERR wrong number of arguments' },
    { message: 'NOSCRIPT No matching script' },
    { message: 'an error that does not have the form of a Redis error (left out)', command: 'eval' },
    { command: 'eval' },
    { message: 'ERR DB index is out of range', command: 'select' },
    { message: 'WRONGPASS invalid username-password pair or user is disabled', command: 'AUTH' },
  ])
})

t.test('an error is summarised under whatever name it is logged, and wherever its message would stand', (t) => {
  const { log, text, lines } = logger()
  const error = replyError(`ERR ${secret}`)
  log.error(error)
  log.error(error, error.message)
  log.error({ err: error })
  log.error({ err: error }, error.message)
  log.error({ error, reason: new AggregateError([error], secret.replace(secret, 'several')) }, 'others')
  log.error('with %s and %o', error, error)
  log.child({ part: 'x' }).error({ err: error }, error.message)
  log.error({ err: new Error('outer', { cause: new Error('inner', { cause: error }) }) }, 'causes')
  log.error({ err: Object.assign(new Error('Failed to refresh slots cache.'), { lastNodeError: error, previousErrors: [error] }) }, 'a cluster')
  t.notMatch(text(), secret)
  t.equal(lines().length, 9)
  t.match(lines()[4], { error: { message: 'ERR (the rest is left out)' }, reason: { type: 'AggregateError', errors: [{ command: 'evalsha' }] } })
  t.match(lines()[7], { err: { message: 'outer', cause: { message: 'inner', cause: { type: 'ReplyError' } } } })
  t.match(lines()[8], { err: { message: 'Failed to refresh slots cache.', cause: { type: 'ReplyError', command: 'evalsha' } } })
  t.end()
})

t.test('the loggers of Fastify inherit it', async (t) => {
  const { log, text, lines } = logger()
  const app = fastify({ loggerInstance: log })
  t.teardown(() => app.close())
  app.get('/', () => {
    throw replyError(`ERR ${secret}`)
  })
  await app.inject({ url: '/', headers: { authorization: `Bearer ${secret}` } })
  t.notMatch(text(), secret)
  t.ok(lines().some(({ err }) => (err as { type?: string } | undefined)?.type === 'ReplyError'))
})

t.test('messages that quote a server, a URL or lines of their own keep what is theirs alone', (t) => {
  const messages: [string, string][] = [
    [`All sentinels are unreachable. Retrying from scratch after 50ms. Last error: WRONGPASS ${secret}`,
      'All sentinels are unreachable. Retrying from scratch after 50ms. Last error: WRONGPASS (the rest is left out)'],
    ['All sentinels are unreachable. Retrying from scratch after 50ms. Last error: connect ECONNREFUSED 127.0.0.1:26379',
      'All sentinels are unreachable. Retrying from scratch after 50ms. Last error: connect ECONNREFUSED 127.0.0.1:26379'],
    [`failed to connect to sentinel h:1 because NOAUTH ${secret}`, 'failed to connect to sentinel h:1 because NOAUTH (the rest is left out)'],
    [`Too many Cluster redirections. Last error: ReplyError: MOVED 1 ${secret}:1`, 'Too many Cluster redirections. Last error: MOVED (the rest is left out)'],
    [`Command queue state error. If you can reproduce this, please report it. Last reply: ${secret}`,
      'Command queue state error. If you can reproduce this, please report it. Last reply: (the rest is left out)'],
    [`Invalid URL: redis://user:${secret}@host/x`, 'Invalid URL: redis://…@host/x'],
    [`redis://:a@${secret}@host and rediss://${secret}@h`, 'redis://…@host and rediss://…@h'],
    ['getaddrinfo ENOTFOUND redis.invalid', 'getaddrinfo ENOTFOUND redis.invalid'],
    ['one\r\ntwo', 'one two'],
  ]
  for (const [said, shown] of messages) t.equal(safeMessage(new Error(said)), shown)
  t.equal(safeMessage(new Error('x'.repeat(100_000))).length, 301)
  const invalid = ((): unknown => {
    try {
      return new URL(`redis://user:${secret}@h:x/`)
    } catch (error) {
      return error
    }
  })()
  t.strictSame(Object.keys(summarise(invalid)).filter((name) => name !== 'stack'), ['type', 'message', 'code'])
  t.notMatch(JSON.stringify(summarise(invalid)), secret)
  t.end()
})

t.test('a stack is its frames, without the message before them', (t) => {
  const error = new Error(`first\n    at ${secret} (file:///secret.js:1:1)\n    at file:///${secret}:1:1`)
  const { stack = '' } = summarise(error)
  t.match(stack, /^ {4}at .*logger\.test/)
  t.notMatch(stack, secret)
  error.message = 'another'
  t.equal(summarise(Object.assign(new Error('x'), { message: `a\n    at ${secret} (node:x:1:1)`, stack: error.stack })).stack, undefined,
    'a message that is not the one in the stack')
  t.equal(summarise(replyError('ERR x')).stack, undefined)
  t.end()
})

t.test('anything that is thrown is logged, and nothing throws again', (t) => {
  const circle = new Error('round')
  circle.cause = circle
  t.equal(JSON.stringify(summarise(circle)).match(/round/g)?.length, 5)
  const hostile = { get message(): string {
    throw new Error('hostile')
  } }
  t.match(summarise(hostile), { type: 'Error', message: 'an error that cannot be read' })
  t.match(summarise({ password: secret }), { type: 'object', message: 'a value that is not an error was thrown' })
  t.match(summarise(`redis://:${secret}@h`), { type: 'string', message: 'redis://…@h' })
  for (const odd of [undefined, null, 5, Symbol('x'), () => {}]) t.type(summarise(odd).message, 'string')
  t.match(summarise({ message: 'plain', code: secret.repeat(9), name: secret, command: { name: `${secret}\n${secret}` } }), { type: 'Error', message: 'plain' })
  t.end()
})
