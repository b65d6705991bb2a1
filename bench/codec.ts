// The codec beside JSON: why there is one.
import type { Metadata } from '../src/policy/stored.ts'
import { decodeMetadata, encodeMetadata } from '../src/store/codec.ts'

const meta: Metadata = {
  status: 200,
  fields: [
    'date',
    'Tue, 14 Nov 2023 22:13:20 GMT',
    'content-type',
    'application/json; charset=utf-8',
    'cache-control',
    'public, max-age=300',
    'etag',
    'W/"400-abcdefghijklmnop"',
    'last-modified',
    'Tue, 14 Nov 2023 20:13:20 GMT',
    'vary',
    'Accept-Encoding',
    'x-request-id',
    '3f2504e0-4f89-11d3-9a0c-0305e82c3301',
    'server',
    'nginx',
    'x-content-type-options',
    'nosniff',
  ],
  requestTimeMs: 1_700_000_000_000,
  responseTimeMs: 1_700_000_000_020,
  initialAgeMs: 12.75,
  lifetimeMs: 300_000,
  lifetimeSource: 'explicit',
  hadAuthorization: false,
  hadCookie: false,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  alwaysValidate: false,
  neverStale: false,
  cacheOnlyFields: [],
  etag: 'W/"400-abcdefghijklmnop"',
  lastModified: 'Tue, 14 Nov 2023 20:13:20 GMT',
  vary: [['accept-encoding', 'gzip']],
  variant: 'accept-encoding=gzip',
  authority: 'api.example.com',
  publicHosts: [],
  target: '/v1/things/17?fields=all',
  tags: ['things', 'thing-17'],
  stamp: '0000000000000000',
  keepUntilMs: 1_700_003_600_000,
  bodyBytes: 1024,
  part: undefined,
}

function time(name: string, bytes: number, work: () => unknown): void {
  const rounds = 300_000
  let kept: unknown
  for (let i = 0; i < rounds / 3; i++) kept = work()
  const start = performance.now()
  for (let i = 0; i < rounds; i++) kept = work()
  console.log(`${name.padEnd(28)} ${((performance.now() - start) * 1e6 / rounds).toFixed(0).padStart(6)} ns  ${bytes} bytes${kept === undefined ? '!' : ''}`)
}

const encoded = encodeMetadata(meta)
const json = Buffer.from(JSON.stringify(meta))
time('codec: encode', encoded.length, () => encodeMetadata(meta))
time('JSON: encode', json.length, () => Buffer.from(JSON.stringify(meta)))
time('codec: decode', encoded.length, () => decodeMetadata(encoded))
time('codec: decode, trusted', encoded.length, () => decodeMetadata(encoded, 0, encoded.length, true))
time('JSON: decode', json.length, () => JSON.parse(json.toString()))
