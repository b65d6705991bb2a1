// The servers behind the proxy, in named pools.
import { Type } from '../../json-schema.ts'
import { HOUR, KiB, MINUTE, SECOND } from '../units.ts'
import { choice, flag, memberNames, millis, section, size, text, texts, whole } from './leaf.ts'

export const originSchema = section({
  servers: texts('origin-url', { minItems: 1,
    prose:
      'The servers that share the requests: http or https URLs, each with its weight if that is not 1: `http://api-1:3000 weight=3`. The path of a URL (`http://api-1:3000/base`) goes before the path of each request; Location and Set-Cookie of responses are not changed. `unix:/run/api.sock` is a socket of this machine. A host name is resolved every two seconds, and each of its addresses counts as a server.' }),
  hostHeader: text('host-header', { default: 'client',
    prose:
      'The Host that servers get. `client`: the one of the request. `origin`: the host of the server’s URL, for servers that are somebody else’s virtual host. Any other text is that name. The cache key, X-Forwarded-Host and Forwarded hold the client’s Host in each case.' }),
  balance: choice(['least-pending', 'round-robin'], { default: 'least-pending',
    prose:
      'How a server is chosen. `least-pending` takes the server with the fewest requests in flight for its weight. `round-robin` takes each in turn, in proportion to its weight.' }),
  health: Type.Optional(section({
    path: text('request-target', { prose: 'Target of the health check, a GET, below the path of the server’s URL. A server is healthy if the status is below 400.' }),
    intervalMs: millis({ min: 100, max: HOUR, default: 2 * SECOND, prose: 'Time between two checks of a server.' }),
  }, 'Active health checks. Without them a server is judged by the requests that clients send.')),
  timeouts: section({
    connectMs: millis({ min: 10, max: 10 * MINUTE, default: 2 * SECOND,
      prose: 'How long a connection may take, TLS included. After that another server is tried; if there is none, the request fails with 504.' }),
    headersMs: millis({ min: 10, max: HOUR, default: 30 * SECOND,
      prose: 'How long a server may take to send the header section of its response. After that the client gets 504, or a stale response if one may be served.' }),
    idleMs: millis({ max: HOUR, default: 60 * SECOND,
      prose:
        'How long a server may pause within a response body. After that the response is aborted. A text/event-stream, gRPC (whose clients set deadlines), and a pause that a slow client causes, have no limit. 0: no limit.' }),
    queueMs: millis({ min: 10, max: HOUR, default: 10 * SECOND,
      prose:
        'How long a request may wait for a connection while all are in use (maxConnections, maxQueue). After that it fails with 503 and Retry-After. Over HTTP/2, `connectMs` is added.' }),
  }, 'How long the proxy waits for a server.'),
  reuse: choice(['safe', 'always'], { default: 'safe',
    prose:
      'Which connections may carry a request that must not be sent twice (POST, PATCH, a large body). `safe`: a connection whose last response ended at most 10 ms ago, else a new one, so that no request is lost if the server closes an idle connection. `always`: one whose last response ended within half a second. Over HTTP/2 all requests share a connection: a server that closes it names the requests that it did not process.' }),
  http2: flag({ default: false,
    prose:
      'Use HTTP/2 to the servers. An https server negotiates it by ALPN; if it does not choose `h2`, HTTP/1.1 is used for a minute. An http server gets HTTP/2 from the first byte (prior knowledge, `h2c`), without a fallback. WebSockets always use HTTP/1.1.' }),
  maxConnections: whole({ min: 1, max: 65_535, default: 256,
    prose:
      'Most connections to each server. Over HTTP/2: most requests in flight to a server, over as few connections as its stream limit allows. Further requests wait in a queue (maxQueue).' }),
  maxStreams: Type.Optional(
    whole({ min: 1, max: 65_535,
      prose:
        'Most WebSockets and event streams (text/event-stream) to each server. They have places of their own, and use none of maxConnections. A further one gets 503 with Retry-After. Left out: as many as maxConnections.' }),
  ),
  maxQueue: whole({ max: 1_000_000, default: 1024, prose: 'Most requests that may wait for a connection to a server. Further requests get 503.' }),
  maxHeaderBytes: size({ min: 1 * KiB, max: 256 * KiB, default: 64 * KiB,
    prose:
      'Largest header section of a response, all fields together with their line ends, and of its trailers. A response with a larger one is a 502. Raise it for an application that sends more tags, cookies or policies. Responses with more than 32 KiB of fields are forwarded, and not stored; an HTTP/2 client can receive 65,000 bytes.' }),
  retries: whole({ max: 10, default: 1,
    prose:
      'How often a request is sent again after its connection failed, on another server if there is one. Only requests that are safe to repeat are: an idempotent method, and a body of at most 64 KiB with a Content-Length. Servers that accept no connection are skipped without counting. Retries are at most a tenth of all requests, beyond a reserve for the requests that a killed server had in flight.' }),
  tls: Type.Optional(section({
    ca: Type.Optional(text('file-path', { prose: 'PEM file with the certificate authorities to trust in place of the public ones.' })),
    cert: Type.Optional(text('file-path', { prose: 'PEM file with the client certificate, for servers that require one. Needs `key`.' })),
    key: Type.Optional(text('file-path', { prose: 'PEM file with the private key of the client certificate.' })),
    servername: Type.Optional(text('host-name', { prose: 'Name for SNI and for the certificate check, if it differs from the host of the URL.' })),
    rejectUnauthorized: flag({ default: true, prose: 'Refuses a server whose certificate is not valid. false removes the protection that TLS gives.' }),
  }, 'TLS to servers whose URL is https.')),
}, 'A pool of interchangeable servers.')

export const originsSchema = Type.Record(Type.String({ pattern: memberNames.origin.source }), originSchema, {
  default: {},
  additionalProperties: false,
  expects: 'origins by name (lower-case letters, digits and dashes), each with its servers',
  description: 'A map of server pools by name (lower-case letters, digits and dashes). `--origin URL` defines a pool named `default`.',
})
