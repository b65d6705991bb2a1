// The servers behind the proxy, in named pools.
import { Type } from 'typebox'
import { HOUR, MINUTE, SECOND } from '../units.ts'
import { choice, flag, millis, section, text, texts, whole } from './leaf.ts'

export const originSchema = section({
  servers: texts('origin-url', { minItems: 1, prose: 'The servers: http or https URLs without path, each with its weight if that is not 1: `http://api-1:3000 weight=3`. Requests are balanced over them. A host name is resolved every two seconds, and each of its addresses counts as a server.' }),
  balance: choice(['least-pending', 'round-robin'], { default: 'least-pending', prose: 'Which server is next: the one with the fewest requests under way for its weight, or each in turn, as often as its weight says.' }),
  health: Type.Optional(section({
    path: text('request-target', { prose: 'What is asked for, by GET; any answer below 400 is healthy.' }),
    intervalMs: millis({ min: 100, max: HOUR, default: 2 * SECOND, prose: 'How often.' }),
  }, 'Asks each server how it is. Without it a server is judged by its answers alone.')),
  timeouts: section({
    connectMs: millis({ min: 10, max: 10 * MINUTE, default: 2 * SECOND, prose: 'How long a connection may take to be made, TLS included.' }),
    headersMs: millis({ min: 10, max: HOUR, default: 30 * SECOND, prose: 'How long the head of an answer may take.' }),
    idleMs: millis({ max: HOUR, default: 60 * SECOND, prose: 'How long the body of an answer may pause, unless it is a text/event-stream, or its client is the one who is slow. 0: for ever.' }),
  }, 'What is waited for.'),
  reuse: choice(['safe', 'always'], { default: 'safe', prose: 'Which connections a request that must not be sent twice (POST, PUT, a body) may take. `safe`: a new one, so that a server that is just closing an idle connection costs no request; `always`: also one that was used within the last half second, which saves the handshake. A session of HTTP/2 is shared by all requests: its server says, when it closes it, which of them it did not take.' }),
  http2: flag({ default: false, prose: 'Speak HTTP/2 to the servers. One whose URL is https is asked by ALPN, and spoken to in HTTP/1.1 for a minute where it does not choose `h2`. To one whose URL is http it is HTTP/2 from the first byte (prior knowledge, `h2c`), with nothing to fall back to. WebSockets go over HTTP/1.1 all the same.' }),
  maxConnections: whole({ min: 1, max: 65_535, default: 256, prose: 'Connections to each server. Over HTTP/2, where one connection carries many requests: requests under way to it at once, over as few connections as have room for them (the server says for how many).' }),
  maxQueue: whole({ max: 1_000_000, default: 1024, prose: 'Requests that may wait for their turn; beyond them the answer is 503.' }),
  retries: whole({ max: 10, default: 1, prose: 'How often a request that was sent and may safely be repeated is tried again, on another server where there is one; servers to which no connection can be made are passed over in any case. Beyond a reserve for the requests that a killed server had under way, a tenth of all requests at most.' }),
  tls: Type.Optional(section({
    ca: Type.Optional(text('file-path', { prose: 'PEM file of the authorities to believe instead of the public ones.' })),
    servername: Type.Optional(text('host-name', { prose: 'The name to ask for and to verify, where it is not the host of the URL.' })),
    rejectUnauthorized: flag({ default: true, prose: 'Refuse a server whose certificate does not verify. false gives up what TLS is for.' }),
  }, 'For servers whose URL is https.')),
}, 'One pool of servers that answer alike.')

// A label of DNS: the name is used as one within the program.
export const originName = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'

export const originsSchema = Type.Record(Type.String({ pattern: originName }), originSchema, {
  default: {},
  additionalProperties: false,
  expects: 'origins by name (lower-case letters, digits and dashes), each with its servers',
  description: 'Pools of servers by name (lower-case letters, digits and dashes): a map. `--origin URL` gives one named `default`.',
})
