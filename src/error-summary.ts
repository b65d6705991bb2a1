// Errors as a log may show them: type, code and known reasons, without any data that was sent or stored.

/**
 * The part of an error that a log may show. Other properties are left out: ioredis adds the command with its arguments,
 * Node the bytes that it read.
 */
export interface ErrorSummary {
  readonly type: string
  readonly message: string
  readonly code?: string | number
  /** The name of the Redis command that failed, without its arguments. */
  readonly command?: string
  /** Frames of the stack, without the message that V8 puts before them. */
  readonly stack?: string
  readonly cause?: ErrorSummary
  /** The errors of an AggregateError. */
  readonly errors?: readonly ErrorSummary[]
}

const deepest = 4
const mostErrors = 4
const mostFrames = 20
const mostChars = 300

/** Summarises any thrown value. Never throws. */
export function summarise(thrown: unknown, depth = 0): ErrorSummary {
  try {
    return isErrorLike(thrown)
      ? summaryOf(thrown, depth)
      : { type: thrown === null ? 'null' : typeof thrown, message: typeof thrown === 'string' ? safeText(thrown) : 'a value that is not an error was thrown' }
  } catch {
    return { type: 'Error', message: 'an error that cannot be read' }
  }
}

/** Returns the message of an error, fit for one line on standard error or in a log. */
export function safeMessage(thrown: unknown): string {
  return summarise(thrown, deepest).message
}

interface ErrorLike {
  readonly name?: unknown
  readonly message: string
  readonly stack?: unknown
  readonly code?: unknown
  readonly command?: { readonly name?: unknown } | null
  readonly cause?: unknown
  /** The cause of ioredis' ClusterAllFailedError. */
  readonly lastNodeError?: unknown
  readonly errors?: unknown
}

function isErrorLike(value: unknown): value is ErrorLike {
  return typeof value === 'object' && value !== null && typeof (value as { message?: unknown }).message === 'string'
}

function summaryOf(error: ErrorLike, depth: number): ErrorSummary {
  const isReply = error.name === 'ReplyError'
  const cause = error.cause ?? error.lastNodeError
  const code = codeOf(error.code)
  const command = error.command?.name
  const stack = isReply ? undefined : framesOf(error.stack, error.message)
  return {
    type: isReply ? 'ReplyError' : typeOf(error),
    message: isReply ? safeReply(error.message) : safeText(error.message),
    ...(code !== undefined && { code }),
    ...(typeof command === 'string' && /^[\w .|-]{1,40}$/.test(command) && { command }),
    ...(stack !== undefined && { stack }),
    ...(cause !== undefined && cause !== null && depth < deepest && { cause: summarise(cause, depth + 1) }),
    ...(Array.isArray(error.errors) && depth < deepest && { errors: error.errors.slice(0, mostErrors).map((each) => summarise(each, depth + 1)) }),
  }
}

function typeOf(error: ErrorLike): string {
  const { constructor: { name } = { name: '' } } = error as { constructor?: { name: string } }
  const type = name === '' || name === 'Object' ? error.name : name
  return typeof type === 'string' && /^\w{1,64}$/.test(type) ? type : 'Error'
}

function codeOf(code: unknown): string | number | undefined {
  if (typeof code === 'number') return code
  return typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : undefined
}

// V8 puts the message before the frames, and a message may have lines that resemble frames.
function framesOf(stack: unknown, message: string): string | undefined {
  if (typeof stack !== 'string') return undefined
  const at = stack.indexOf(message)
  if (at < 0 && message.includes('\n')) return undefined
  const frames = stack.slice(at < 0 ? 0 : at + message.length).split('\n', 200).filter((line) =>
    line.length < 400 && /^ {4}at (?:[\w$.<>[\] #*]{1,120} )?\(?(?:file:|node:|\/)[^\s()]+:\d+:\d+\)?$/.test(line)
  )
  return frames.length === 0 ? undefined : frames.slice(0, mostFrames).join('\n')
}

// ioredis wraps a server's reply: `All sentinels are unreachable. Last error: WRONGPASS …`, `Last reply: <anything>`.
const quoting = /\bLast (?:error|reply): | because |, but got an invalid reply: |command fails: "/
const systemError = /^(?:connect|read|write|getaddrinfo|queryA|queryAaaa|open) [A-Z][A-Z0-9_]{1,30}(?: [\w.:[\]/-]{1,260})?$/

/** Returns one bounded line, without user info of URLs and without text that a server sent. */
function safeText(text: string): string {
  const line = text.length > 4 * mostChars ? text.slice(0, 4 * mostChars) : text
  const found = quoting.exec(line)
  if (found === null) return tidy(line)
  const said = line.slice(found.index + found[0].length)
  const before = tidy(line.slice(0, found.index + found[0].length))
  if (found[0].includes('reply')) return `${before}${leftOut}`
  // The text of a ReplyError may begin with that name.
  return before + (systemError.test(said) || ioredisWords.has(said) ? said : safeReply(said.replace(/^ReplyError: /, '')))
}

// Messages that ioredis itself creates.
const ioredisWords: ReadonlySet<string> = new Set(['Connection is closed.', 'Command timed out', 'connect ETIMEDOUT'])

function tidy(text: string): string {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ').replaceAll(/\S+/g, withoutUserInfo)
  return line.length > mostChars ? `${line.slice(0, mostChars)}…` : line
}

function withoutUserInfo(word: string): string {
  const from = word.indexOf('://') + 3
  const to = from < 3 ? -1 : word.lastIndexOf('@')
  return to < from ? word : `${word.slice(0, from)}…${word.slice(to)}`
}

const leftOut = '(the rest is left out)'

/**
 * Returns the part of a server's reply that is known to repeat no content. Redis quotes the arguments of unknown commands, a
 * script may quote anything, and another program in place of Redis may send anything. So only the sentences listed here pass;
 * for any other reply, only its error code does.
 */
function safeReply(text: string): string {
  const word = /^[A-Z][A-Z0-9]{1,23}(?= |$)/.exec(text)?.[0]
  if (word === undefined) return 'an error that does not have the form of a Redis error (left out)'
  const rest = text.slice(word.length + 1)
  const known = sentences.find((sentence) => rest.startsWith(sentence))
  if (known !== undefined) return `${word} ${known}`
  const [, command] = /^(?:this user|User \S{1,128}) has no permissions to (?:run the '([a-z|_-]{1,40})' command|access)/.exec(rest) ?? [undefined, undefined]
  if (word === 'NOPERM') return command === undefined ? 'NOPERM this user lacks a permission' : `NOPERM this user may not run the '${command}' command`
  return rest === '' ? word : `${word} ${leftOut}`
}

const sentences = [
  'DB index is out of range',
  'invalid DB index',
  'SELECT is not allowed in cluster mode',
  'invalid username-password pair or user is disabled',
  'Authentication required',
  'HELLO must be called with the client already authenticated',
  'Client sent AUTH, but no password is set',
  'AUTH <password> called without any password configured for the default user',
  "wrong number of arguments for 'auth' command",
  'unsupported protocol version',
  'unknown command',
  'unknown subcommand',
  'wrong number of arguments',
  'syntax error',
  'value is not an integer or out of range',
  'invalid expire time',
  'max number of clients reached',
  'Protocol error',
  "You can't write against a read only replica",
  "command not allowed when used memory > 'maxmemory'",
  'Redis is configured to save RDB snapshots, but it is currently not able to persist on disk',
  "Redis is configured to save RDB snapshots, but it's currently unable to persist to disk",
  'Valkey is configured to save RDB snapshots',
  'Errors writing to the AOF file',
  'Redis is loading the dataset in memory',
  'Valkey is loading the dataset in memory',
  'Redis is busy running a script',
  'Valkey is busy running a script',
  'No matching script',
  'Operation against a key holding the wrong kind of value',
  'Not enough good replicas to write',
  'Link with MASTER is down',
  'No such master with that name',
  'The cluster is down',
  'Hash slot not served',
  'CLUSTERDOWN',
  'Multiple keys request during rehashing of slot',
  'This instance has cluster support disabled',
  'The ID specified in XADD',
  'Error running script',
  'user_script',
  'Script killed',
  'no such key',
] as const
