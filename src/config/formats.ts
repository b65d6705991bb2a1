// Text formats of settings: the test of each format, and its normal spelling.
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { readRedisNode, readRedisUrl, type RedisAddress, type WrongAddress } from '../redis-address.ts'
import { readServerAddress, readServerPlace } from '../server-address.ts'
import { isRoutePath, routePathMistake } from './route-path.ts'

interface TextFormat {
  /** A description of valid text, as it follows "expected". */
  readonly expects: string
  readonly test: (text: string) => boolean
  /** Returns a more precise description than `expects` for this text. Called only if the test failed. */
  readonly wrong?: (text: string) => string
  /** Returns the spelling that the program uses. Called only if the test passed. */
  readonly tidy?: (text: string) => string
}

// RFC 7518 §3.1, RFC 8037, RFC 9864: signatures with a public key. RFC 8725 §3.1: never `none`, and no shared secret.
const jwtAlgorithms: readonly string[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

export const formats = {
  'listen-host': {
    expects: 'a host name or an IP address to listen on',
    test: (text) => isIP(text) !== 0 || hostName.test(text),
  },
  'host-name': {
    expects: 'a host name',
    test: (text) => isIP(text) === 0 && hostName.test(text),
  },
  'origin-url': {
    expects:
      'an http or https URL without user info and query, such as http://api-1:3000 or http://api-1:3000/base, or unix:/run/api.sock; and its weight, as in http://api-1:3000 weight=3',
    test: (text) => {
      const { url = '', weight = 0 } = readServerAddress(text) ?? {}
      if (weight < 1 || weight > 1000) return false
      const place = readServerPlace(url)
      if (place === undefined) return false
      return place.socketPath !== undefined || (!/[?#\\]/.test(url) && !url.includes('@') && !/\/(?:\.|%2e){1,2}(?:\/|$)/i.test(url))
    },
    tidy: (text) => {
      const { url = '', weight = 1 } = readServerAddress(text) ?? {}
      const { origin = '', base = '', socketPath } = readServerPlace(url) ?? {}
      return (socketPath === undefined ? origin + base : `unix:${socketPath}`) + (weight === 1 ? '' : ` weight=${weight}`)
    },
  },
  'host-header': {
    expects: 'client, origin, or a host such as api.example.com, with its port if it needs one',
    test: (text) => /^[^:]+(?::\d{1,5})?$/.test(text) ? hostName.test(text.replace(/:\d+$/, '')) : /^\[[0-9a-f:.]+\](?::\d{1,5})?$/i.test(text),
  },
  'redis-url': {
    expects: 'a redis://, rediss:// or unix:// URL, such as redis://redis:6379',
    test: (text) => !('wrong' in readRedisUrl(text)),
    wrong: (text) => wrongIn(readRedisUrl(text)),
  },
  'redis-node': {
    expects: 'a host and a port, such as redis-1:6379, or a redis:// or rediss:// URL',
    test: (text) => !('wrong' in readRedisNode(text)),
    wrong: (text) => wrongIn(readRedisNode(text)),
  },
  password: {
    expects: 'a password of one to 512 characters',
    test: (text) => /^[^\p{Cc}]{1,512}$/u.test(text),
  },
  'address-range': {
    expects: 'an IP address or a CIDR range, such as 10.0.0.0/8',
    test: (text) => {
      const [address = '', bits, ...rest] = text.split('/')
      const family = isIP(address)
      if (family === 0 || rest.length > 0) return false
      return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
    },
  },
  'host-pattern': {
    expects: 'a host without port, such as api.example.com, or *.example.com for every name below it',
    test: (text) => isIP(unbracketed(text)) !== 0 || hostName.test(inAscii(text).replace(/^\*\./, '').replace(/\.$/, '')),
    // RFC 9110 §4.2.3: the host is case-insensitive, so lower case is enough to compare with. In a request an IPv6 address has
    // brackets and one spelling (RFC 5952).
    // A last dot names the root of DNS, and the same host. Requests have names beyond ASCII in their encoded form (RFC 5891).
    tidy: (text) => isIP(unbracketed(text)) === 6 ? new URL(`http://[${unbracketed(text)}]`).hostname : inAscii(text).toLowerCase().replace(/\.$/, ''),
  },
  'route-path': {
    expects: 'a path that begins with /',
    test: isRoutePath,
    wrong: (text) => routePathMistake(text) ?? 'expected a path that begins with /',
  },
  'request-target': {
    expects: 'a path that begins with /, with its query if it needs one',
    test: (text) => /^\/[!-~]*$/.test(text) && !text.includes('#'),
  },
  'field-name': {
    expects: 'the name of a header field, such as accept-language',
    test: (text) => token.test(text),
    tidy: (text) => text.toLowerCase(),
  },
  'cookie-name': {
    expects: 'the name of a cookie',
    test: (text) => token.test(text),
  },
  'parameter-name': {
    expects: 'the name of a query parameter, such as page',
    test: (text) => /^[^&=#*\s\p{Cc}]{1,256}$/u.test(text),
  },
  'parameter-glob': {
    expects: 'the name of a query parameter, in which * stands for anything, such as utm_*',
    test: (text) => /^[^&=#\s]+$/.test(text),
  },
  'signing-secret': {
    expects: 'a secret of 32 bytes or more, without control characters',
    test: (text) => Buffer.byteLength(text) >= 32 && /^[^\p{Cc}]{1,1024}$/u.test(text),
  },
  'web-origin': {
    expects: 'the origin of a web page, such as https://app.example.com',
    test: (text) => /^https?:\/\//i.test(text) && URL.canParse(text) && new URL(text).origin === text.toLowerCase(),
    tidy: (text) => new URL(text).origin,
  },
  'claim-text': {
    expects: 'a text of one to 512 characters',
    test: (text) => /^[^\p{Cc}]{1,512}$/u.test(text),
  },
  'claim-place': {
    expects: 'the name of a claim, such as org_id, or a path to a member of one, such as /realm_access/roles',
    test: (text) => /^[^\p{Cc}]{1,256}$/u.test(text) && (!text.startsWith('/') || !/~(?![01])/.test(text)),
  },
  'jwt-algorithm': {
    expects: `an algorithm among ${jwtAlgorithms.join(', ')}`,
    test: (text) => jwtAlgorithms.includes(text),
    wrong: (text) =>
      /^none$/i.test(text)
        ? 'a token without a signature can be made by anyone; expected an algorithm with a public key, such as RS256'
        : /^HS\d+$/i.test(text)
        ? 'every verifier of such a token could make tokens; expected an algorithm with a public key, such as RS256'
        : `expected an algorithm among ${jwtAlgorithms.join(', ')}`,
  },
  'key-set-place': {
    expects: 'an https URL, or the path of a file',
    test: (text) => {
      if (!text.includes('://')) return text !== '' && !text.includes('\0')
      if (!URL.canParse(text)) return false
      const { protocol, hostname, username, password } = new URL(text)
      return (protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname))) && username === '' && password === ''
    },
    wrong: (text) =>
      /^http:\/\//i.test(text)
        ? 'expected https, because keys that are changed on their way make false tokens right; http is for loopback'
        : 'expected an https URL without user info, or the path of a file',
  },
  'via-name': {
    expects: 'a name of letters, digits, dots, dashes and underscores',
    test: (text) => /^[A-Za-z0-9._-]{1,64}$/.test(text),
  },
  'key-prefix': {
    expects: 'one to 32 letters, digits, dots, colons, dashes or underscores',
    test: (text) => /^[A-Za-z0-9.:_-]{1,32}$/.test(text),
  },
  'bearer-token': {
    expects: 'a token of visible ASCII characters without spaces',
    test: (text) => /^[!-~]{1,1024}$/.test(text),
  },
  name: {
    expects: 'a name of one to 64 characters',
    test: (text) => /^[^\p{Cc}]{1,64}$/u.test(text),
  },
  'file-path': {
    expects: 'the path of a file',
    test: (text) => text !== '' && !text.includes('\0'),
  },
} as const satisfies Record<string, TextFormat>

export type FormatName = keyof typeof formats

/** Returns a format by its name. */
export function textFormat(name: FormatName): TextFormat {
  return formats[name]
}

const hostName = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/ // RFC 9110 §5.6.2

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

function inAscii(host: string): string {
  return /[^\0-\x7f]/.test(host) ? domainToASCII(host) : host
}

function unbracketed(text: string): string {
  return text.replace(/^\[(.*)\]$/, '$1')
}

function wrongIn(address: RedisAddress | WrongAddress): string {
  return 'wrong' in address ? address.wrong : ''
}
