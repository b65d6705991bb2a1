// The two listeners: the public proxy and the admin API.
import { Type } from '../../json-schema.ts'
import { DAY, GiB, HOUR, KiB, MINUTE, MiB, SECOND } from '../units.ts'
import { choice, duration, flag, millis, section, size, text, texts, whole, withFile } from './leaf.ts'

const port = (number: number, what: string) => whole({ max: 65_535, default: number, prose: `Port of the ${what}. 0: any free port.` })

export const proxySchema = section({
  host: text('listen-host', { default: '0.0.0.0', prose: 'Address on which the proxy listens for clients. 0.0.0.0 is every IPv4 address of the machine.' }),
  port: port(8080, 'proxy listener'),
  trustProxy: Type.Union([Type.Boolean(), texts('address-range', { prose: '' })], {
    default: false,
    expects: 'true, false, or a list of IP addresses and CIDR ranges',
    description:
      'Which peers may set X-Forwarded-* and Forwarded: none (false), the listed addresses and ranges, or all (true). List the load balancer in front, if there is one. Use true only if nothing but a trusted proxy can connect.',
  }),
  tls: Type.Optional(section({
    cert: Type.Optional(
      text('file-path', {
        prose: 'PEM file with the certificate chain, the own certificate first. Clients get it unless one of `certificates` is for the name that they request.',
      }),
    ),
    key: Type.Optional(text('file-path', { prose: 'PEM file with the private key of `cert`, without a passphrase.' })),
    certificates: Type.Array(section({
      cert: text('file-path', { prose: 'PEM file with a certificate chain. Its subject alternative names decide which clients get it.' }),
      key: text('file-path', { prose: 'PEM file with its private key.' }),
    }), {
      default: [],
      maxItems: 1000,
      description:
        'Further certificates, chosen by the name that a client requests (SNI): an exact name first, then a wildcard. Without `cert` and `key`, clients that request another name, or none, get the first of the list.',
    }),
    minVersion: choice(['TLSv1.2', 'TLSv1.3'], { default: 'TLSv1.2', prose: 'The oldest version of TLS that clients may use.' }),
    http2: flag({ default: true, prose: 'Offers HTTP/2 to clients by ALPN. HTTP/1.1 is always offered.' }),
  }, 'HTTPS on the proxy listener. Renewed files are taken up within seconds, without a signal; files that cannot be used leave the running ones.')),
  redirectPort: Type.Optional(
    whole({ min: 0, max: 65_535,
      prose:
        'Port for HTTP, on which every request is redirected to HTTPS: 301 for GET and HEAD, 308 for other methods. Needs `proxy.tls`. The redirect names the port of the proxy, but for 443. If the host of a request has no port although this port is not 80, ports are mapped, and the redirect names none. 0: any free port. Left out: no such listener.' }),
  ),
  h2c: flag({ default: false,
    prose:
      'Accepts HTTP/2 without TLS from clients that use it from the first byte (prior knowledge), as gRPC clients do. HTTP/1.1 is still served on the same port. Only without `proxy.tls`, where HTTP/2 is negotiated.' }),
  requestTimeoutMs: millis({ max: HOUR, default: 30 * SECOND,
    prose:
      'How long a client may take to send a request, and then each 16 KiB of its body while the origin reads. After that its connection is closed. A large upload that keeps moving is never aborted; one that stops or trickles is. The limit ends when the response begins, so a stream of both directions (gRPC) may be silent. 0: no limit for the body.' }),
  headersTimeoutMs: millis({ min: 100, max: HOUR, default: 10 * SECOND,
    prose: 'How long a client may take to send the header section of a request; then its connection is closed. At most requestTimeoutMs, unless that is 0.' }),
  keepAliveTimeoutMs: millis({ min: 0, max: HOUR, default: 75 * SECOND,
    prose:
      'How long an idle client connection stays open. Make it longer than the idle timeout of the load balancer in front. Otherwise the load balancer sends requests on connections that are being closed. 0: no limit.' }),
  stalledTimeoutMs: millis({ min: 0, max: HOUR, default: 60 * SECOND,
    prose: 'How long a client may stop reading a response before it is disconnected. A stalled client holds an origin connection. 0: no limit.' }),
  maxClients: Type.Optional(
    whole({ min: 1, max: 1_000_000,
      prose:
        'Most client connections at once, in each process. Beyond it a request gets 503 with Retry-After, and its connection is closed. Left out: as many as the limit of open files (`ulimit -n`) allows if each needs a connection to an origin too. The start names that number if the limit is below 4,096.' }),
  ),
  maxRequests: whole({ min: 1, max: 1_000_000, default: 65_536,
    prose: 'Most client requests in flight at once, in each process, WebSockets and event streams included. A further request gets 503 with Retry-After.' }),
  maxHeaderBytes: size({ min: 1 * KiB, max: 1 * MiB, default: 16 * KiB, prose: 'Largest header section of a request, all fields together. A larger one gets 431.' }),
  maxTargetBytes: size({ min: 256, max: 64 * KiB, default: 8 * KiB, prose: 'Longest path and query of a request. A longer one gets 414.' }),
  shutdownGraceMs: millis({ max: HOUR, default: 10 * SECOND, prose: 'How long a stop waits for requests in flight. After that their connections are closed.' }),
  shutdownDelayMs: millis({ max: HOUR, default: 2 * SECOND,
    prose:
      'How long a stop keeps serving while /readyz returns 503, so that a load balancer can take the replica out first. Each connection is closed behind its next response. shutdownGraceMs begins afterwards. There is no delay for Ctrl-C at a terminal, nor if the proxy was not ready yet. Set it to at least the interval of your load balancer’s checks; 0: none, for a proxy that clients reach directly.' }),
  healthPath: Type.Optional(text('route-path', {
    prose:
      'A path on the proxy port to which the proxy itself responds to GET and HEAD, for load balancers that cannot reach the admin listener: 200, or 503 while it stops. It hides the origin’s resource of that exact path, on every host. Left out: every path is the origins’.',
  })),
  viaName: text('via-name', { default: 'springhouse',
    prose: 'The name of this proxy in Via. A request that carries it already is a loop and gets 508. Use the same name on every replica.' }),
}, 'The public listener.')

export const adminSchema = section({
  host: text('listen-host', { default: '127.0.0.1', prose: 'Address of the admin listener. An address that is not loopback needs a token.' }),
  port: port(8081, 'admin listener'),
  tokens: Type.Array(section({
    name: text('name', { prose: 'Name of the token in the log.' }),
    ...withFile('token', text('bearer-token', { secret: true, prose: 'The secret that a client sends as `Authorization: Bearer …`.' })),
    scopes: Type.Array(choice(['read', 'purge', 'sessions', 'admin'], { default: 'read', prose: '' }), {
      default: ['read'],
      minItems: 1,
      uniqueItems: true,
      description: 'The scopes of the token: `read` (explain, stats, entries), `purge`, `sessions`, `admin` (reload). A token with all of the others may reload too.',
    }),
  }), {
    default: [],
    description:
      'The tokens of the admin API. SPRINGHOUSE_ADMIN_TOKEN, or SPRINGHOUSE_ADMIN_TOKEN_FILE, adds a token named `env` with every scope. A change takes effect at a reload.',
  }),
  dashboard: flag({ default: true,
    prose: 'A page for browsers at `/` of the admin listener. The page itself holds no data: it shows what the token of its login may read. With `false` there is none.' }),
  sessionTtl: duration({ min: MINUTE, max: 30 * DAY, default: HOUR,
    prose:
      'How long a login of a browser at the admin listener lasts. A login is a cookie that is signed with its token: to end all logins of a token before that, remove the token.' }),
  loginsPerMinute: whole({ min: 1, max: 10_000, default: 10,
    prose: 'Failed logins from one address within a minute, in each process. After that its logins get 429 until the minute is over. Bearer tokens are not affected.' }),
}, 'The admin listener: purge, explain, stats, metrics.')

export const logSchema = section({
  level: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], { default: 'info', prose: 'The least severe message that is logged.' }),
  access: choice(['off', 'errors', 'sampled', 'all'], { default: 'errors',
    prose:
      'Which requests get a line. `errors`: those with a 5xx response or an error of the proxy. `sampled`: these, the slow ones (`slowMs`), and one in `sampleOneIn` of the others. `all`: each request. `level` does not matter for these lines.' }),
  sampleOneIn: whole({ min: 1, max: 1_000_000, default: 100, prose: 'With `access: sampled`, one request in so many gets a line.' }),
  slowMs: millis({ min: 1, max: HOUR, default: 1 * SECOND, prose: 'With `access: sampled`, a request that takes this long or longer gets a line.' }),
  query: texts('parameter-name', { default: [],
    prose:
      'Query parameters whose values the log shows. The value of any other parameter is shown as `***`, because it may be a secret. A path segment that is shaped like a token is shown as `***` too. Names are compared as they are written: `%69d` is not `id`.' }),
  pretty: flag({ default: false, prose: 'Lines for people rather than JSON.' }),
}, 'The log, on standard output.')

export const observeSchema = section({
  enabled: flag({ default: true,
    prose:
      'Counts bytes, latency and origin requests, by route and origin, for the admin API and the metrics. false: requests are counted by outcome and reason alone, and history, routes, top and tail are not there.' }),
  history: duration({ min: 5 * MINUTE, max: HOUR, default: 1 * HOUR,
    prose:
      'How long numbers are kept in steps of ten seconds, for `GET /v1/history`. Each minute takes 6 KiB in each process, and with Redis at most 6 KiB there, whatever the number of replicas.' }),
  sampleOneIn: whole({ min: 1, max: 10_000, default: 64,
    prose: 'The lists of `GET /v1/top` take the first 50 requests of a second, and one in so many of the others. Lower: more exact, and more work for each request.' }),
  topKeys: whole({ min: 16, max: 1024, default: 256,
    prose: 'Names in each list of `GET /v1/top`. A name that has more than one part in so many of all requests is never missing.' }),
  tailPerSecond: whole({ min: 1, max: 10_000, default: 50,
    prose:
      'Most requests that `GET /v1/tail` shows in a second, to all watchers of a process together. The others that match are counted, and an event gives the watchers their number.' }),
  reportMs: millis({ min: 1 * SECOND, max: MINUTE, default: 5 * SECOND,
    prose:
      'With Redis, how often each process writes its numbers for the others, at most 4 KiB. While a page or a command shows the numbers of all replicas, each writes them every second. A replica is shown as silent after three of these intervals.' }),
}, 'The numbers of requests that the process keeps.')

export const coherenceSchema = section({
  maxLagMs: millis({ min: 100, max: MINUTE, default: 3 * SECOND,
    prose:
      'How long a replica may use stored responses without reading the purge log. After that every request is a miss until the replica has caught up. Purges wait for a silent replica for longer than this. Longer: more hits while Redis is away, and slower purges if a replica dies.' }),
  leaseMs: millis({ min: 50, max: MINUTE, default: 2 * SECOND,
    prose: 'How long other processes wait for a fetch after the process that leads it has died. The leader renews its lease three times per period.' }),
  maxLogRecords: whole({ min: 100, max: 10_000_000, default: 100_000,
    prose:
      'Largest number of purges in the purge log; each takes about 600 bytes in every process. Beyond it the oldest purges are dropped, and every response stored before them becomes a miss.' }),
  maxLogBytes: size({ min: 64 * KiB, max: GiB, default: 32 * MiB,
    prose: 'Largest size of the purge log in Redis, and roughly its size in each process. Beyond it the oldest purges are dropped, as for maxLogRecords.' }),
  purgeWaitMs: millis({ max: DAY, default: 2 * SECOND,
    prose: 'How long a purge waits for every live replica to apply it, if the request gives no `waitMs`. After that it returns 202.' }),
}, 'Coherence between replicas: the purge log and fetches shared between processes.')
