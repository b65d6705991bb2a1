// The two listeners: the public proxy and the admin API.
import { Type } from 'typebox'
import { DAY, GiB, HOUR, KiB, MINUTE, MiB, SECOND } from '../units.ts'
import { choice, flag, millis, section, size, text, texts, whole, withFile } from './leaf.ts'

const port = (number: number, what: string) =>
  whole({ max: 65_535, default: number, prose: `Port of the ${what}. 0: any free one.` })

export const proxySchema = section({
  host: text('listen-host', { default: '0.0.0.0', prose: 'Address on which clients are served.' }),
  port: port(8080, 'proxy listener'),
  trustProxy: Type.Union([Type.Boolean(), texts('address-range', { prose: '' })], {
    default: false,
    expects: 'true, false, or a list of IP addresses and CIDR ranges',
    description: 'Whose X-Forwarded-* and Forwarded fields are believed: nobody’s (false), those of these addresses and ranges, or everybody’s (true: only where nothing but a trusted proxy can connect).',
  }),
  tls: Type.Optional(section({
    cert: text('file-path', { prose: 'PEM file of the certificate chain.' }),
    key: text('file-path', { prose: 'PEM file of the private key.' }),
    http2: flag({ default: true, prose: 'Whether clients may choose HTTP/2 (by ALPN); they may always choose HTTP/1.1.' }),
  }, 'HTTPS on the proxy listener. The files are read again on SIGHUP.')),
  requestTimeoutMs: millis({ min: 1 * SECOND, max: HOUR, default: 30 * SECOND, prose: 'How long a client may take to send a request, and then for each 16 KiB of its body, while the origin takes them: a large upload is not cut, one that stops or drips is.' }),
  headersTimeoutMs: millis({ min: 100, max: HOUR, default: 10 * SECOND, prose: 'How long a client may take to send the head of a request. Not above requestTimeoutMs.' }),
  keepAliveTimeoutMs: millis({ min: 0, max: HOUR, default: 75 * SECOND, prose: 'How long an idle client connection is kept. Make it longer than the idle time of the load balancer in front, or that one will write into connections that close.' }),
  stalledTimeoutMs: millis({ min: 0, max: HOUR, default: 60 * SECOND, prose: 'How long a client may take nothing of an answer that waits for it before its connection is cut: the connection to the origin waits with it. 0: for ever.' }),
  maxHeaderBytes: size({ min: 1 * KiB, max: 1 * MiB, default: 16 * KiB, prose: 'Largest head of a request, all fields together; beyond it the answer is 431.' }),
  maxTargetBytes: size({ min: 256, max: 64 * KiB, default: 8 * KiB, prose: 'Longest path and query of a request; beyond it the answer is 414.' }),
  shutdownGraceMs: millis({ max: HOUR, default: 10 * SECOND, prose: 'How long a stop waits for requests under way before their connections are cut.' }),
  shutdownDelayMs: millis({ max: HOUR, default: 0, prose: 'How long a stop first goes on as before, with /readyz at 503, so that whoever sends requests here can hear of it and send them elsewhere. Its grace begins after that.' }),
  viaName: text('via-name', { default: 'springhouse', prose: 'The name of this proxy in Via, by which it also recognises a loop. The same on every replica.' }),
}, 'The public listener.')

export const adminSchema = section({
  host: text('listen-host', { default: '127.0.0.1', prose: 'Address of the admin listener. Anything but loopback needs a token.' }),
  port: port(8081, 'admin listener'),
  tokens: Type.Array(section({
    name: text('name', { prose: 'Says in the log who it was.' }),
    ...withFile('token', text('bearer-token', { secret: true, prose: 'What a client sends as `Authorization: Bearer …`.' })),
    scopes: Type.Array(choice(['read', 'purge', 'sessions'], { default: 'read', prose: '' }), {
      default: ['read'],
      minItems: 1,
      uniqueItems: true,
      description: 'What the token may do: `read` (explain, stats, entries), `purge`, `sessions`.',
    }),
  }), {
    default: [],
    description: 'Who may use the admin API. SPRINGHOUSE_ADMIN_TOKEN, or SPRINGHOUSE_ADMIN_TOKEN_FILE, adds one named `env` with every scope. A change takes effect on SIGHUP.',
  }),
}, 'The admin listener: purge, explain, stats, metrics.')

export const logSchema = section({
  level: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], { default: 'info', prose: 'The least severe message that is logged.' }),
  access: choice(['off', 'errors', 'sampled', 'all'], { default: 'errors', prose: 'Which requests get a line. `errors`: those with a 5xx response or an error of the proxy. `sampled`: these, the slow ones (`slowMs`), and one in `sampleOneIn` of the others. `all`: each request. `level` does not matter for these lines.' }),
  sampleOneIn: whole({ min: 1, max: 1_000_000, default: 100, prose: 'With `access: sampled`, one request in so many gets a line.' }),
  slowMs: millis({ min: 1, max: HOUR, default: 1 * SECOND, prose: 'With `access: sampled`, a request that takes this long or longer gets a line.' }),
  query: texts('parameter-name', { default: [], prose: 'Query parameters whose values the log shows. The value of any other parameter is shown as `***`, because it may be a secret. A path segment that is shaped like a token is shown as `***` too. Names are compared as they are written: `%69d` is not `id`.' }),
  pretty: flag({ default: false, prose: 'Lines for people rather than JSON.' }),
}, 'The log, on standard output.')

export const coherenceSchema = section({
  maxLagMs: millis({ min: 100, max: MINUTE, default: 3 * SECOND, prose: 'How long a replica that cannot read the purge log still goes by what it knows; then everything is a miss for it until it has caught up. Purges wait for a replica for longer than this after it was last heard of.' }),
  leaseMs: millis({ min: 50, max: MINUTE, default: 2 * SECOND, prose: 'How long the processes that wait for one of them to fetch a thing go on waiting after that one has died. It says every third of this that it lives.' }),
  maxLogRecords: whole({ min: 100, max: 10_000_000, default: 100_000, prose: 'Purges that are remembered, each in some 600 bytes of every process. Beyond it the oldest are let go, and with them everything that was stored before them.' }),
  maxLogBytes: size({ min: 64 * KiB, max: GiB, default: 32 * MiB, prose: 'What they may take in Redis, and about what they may take in each process; the oldest are let go as above.' }),
  purgeWaitMs: millis({ max: DAY, default: 2 * SECOND, prose: 'How long a purge waits for every live replica when it does not say so itself.' }),
}, 'How the replicas keep to one truth.')
