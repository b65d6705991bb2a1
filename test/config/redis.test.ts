// Where Redis is: the permitted forms of its URL, the refused ones, and that a refusal shows no password.
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { loadConfig, resolveConfig } from '../../src/config/load.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { ConfigError } from '../../src/config/problem.ts'
import { readRedisNode, readRedisUrl } from '../../src/redis-address.ts'

const origins = { origins: { api: { servers: ['http://127.0.0.1:1'] } } }

function wrong(redis: object): string[] {
  try {
    resolveConfig({ ...origins, redis })
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({ path, message }) => `${path}: ${message}`)
  }
}

t.test('a URL says host, port, database, user, password and TLS', (t) => {
  const nobody = { username: undefined, password: undefined }
  const urls: [string, object][] = [
    ['redis://h', { at: { host: 'h', port: 6379 }, database: 0, ...nobody, tls: false }],
    ['redis://h/', { at: { host: 'h', port: 6379 }, database: 0, ...nobody, tls: false }],
    ['redis://h:1/0', { at: { host: 'h', port: 1 }, database: 0, ...nobody, tls: false }],
    ['redis://h:1/15', { at: { host: 'h', port: 1 }, database: 15, ...nobody, tls: false }],
    ['valkey://h', { at: { host: 'h', port: 6379 }, database: 0, ...nobody, tls: false }],
    ['rediss://h:6380/2', { at: { host: 'h', port: 6380 }, database: 2, ...nobody, tls: true }],
    ['valkeys://h', { at: { host: 'h', port: 6379 }, database: 0, ...nobody, tls: true }],
    ['REDISS://h', { at: { host: 'h', port: 6379 }, database: 0, ...nobody, tls: true }],
    ['redis://redis.default.svc.cluster.local.:6379', { at: { host: 'redis.default.svc.cluster.local.', port: 6379 }, database: 0, ...nobody, tls: false }],
    ['redis://[::1]:7/3', { at: { host: '::1', port: 7 }, database: 3, ...nobody, tls: false }],
    ['redis://10.0.0.1', { at: { host: '10.0.0.1', port: 6379 }, database: 0, ...nobody, tls: false }],
    ['redis://u%40x:p%2F%3F%23%25%C3%A9@h', { at: { host: 'h', port: 6379 }, database: 0, username: 'u@x', password: 'p/?#%é', tls: false }],
    ['redis://:p@h/1', { at: { host: 'h', port: 6379 }, database: 1, username: undefined, password: 'p', tls: false }],
    ['unix:///run/redis.sock', { at: { path: '/run/redis.sock' }, database: 0, ...nobody, tls: false }],
    ['unix:///run/a%20b/redis.sock?db=4', { at: { path: '/run/a b/redis.sock' }, database: 4, ...nobody, tls: false }],
  ]
  for (const [url, address] of urls) t.strictSame(readRedisUrl(url), address, url)
  t.strictSame(readRedisNode('h:1'), { at: { host: 'h', port: 1 }, database: 0, ...nobody, tls: undefined })
  t.strictSame(readRedisNode('[::1]:1'), { at: { host: '::1', port: 1 }, database: 0, ...nobody, tls: undefined })
  t.strictSame(readRedisNode('rediss://u:p@h', 26_379), { at: { host: 'h', port: 26_379 }, database: 0, username: 'u', password: 'p', tls: true })
  t.match(readRedisNode('redis://h:1/0'), { database: 0 })
  t.end()
})

t.test('any other URL is refused, with the right form and without its password', (t) => {
  const refused: [string, RegExp][] = [
    ['redis://h/cache', /expected the number of a database after the host, as in redis:\/\/redis:6379\/5, or nothing, got "redis:\/\/h\/cache"/],
    ...['/-1', '/1.0', '/0x5', '/05', '/00', '/5/', '/5/6', '//5', '/1e3', '/ 5', '/%35', '/99999999999', '/2147483648'].map((
      path,
    ): [string, RegExp] => [`redis://h${path}`, /number of a database/]),
    ['redis://h?db=5', /neither \? nor #.*redis:\/\/redis:6379\/5/],
    ['redis://h/?db=5', /neither \? nor #/],
    ['redis://h/5?family=6', /neither \? nor #/],
    ['redis://h/5?', /neither \? nor #/],
    ['redis://h/5#x', /neither \? nor #/],
    ['redis://h#', /neither \? nor #/],
    ['redis://:s3cret#word@h', /neither \? nor #/],
    ['redis://:s3cret/word@h', /percent-encoded/],
    ['redis://u:12/s3cret@h', /number of a database/],
    ['redis://s3cret@ret:s3cret@h/x', /number of a database/],
    ['redis://s3/cret:s3cret@h', /./],
    ['redis://:s3cret%@h', /a % in them is written %25/],
    ['redis://u%zz:s3cret@h', /%25/],
    ['redis://h:0', /port from 1/],
    ['redis://h:70000', /./],
    ['redis://', /./],
    ['redis:///5', /host/],
    ['redis://:s3cret@', /./],
    ['redis://h h', /./],
    ['redis://h%41', /host/],
    ['redis://-h', /host/],
    ['redis:h:6379', /redis:\/\/, rediss:\/\/ or unix:\/\//],
    ['redis:u:s3cret@h', /redis:\/\/, rediss/],
    ['h:6379', /redis:\/\/, rediss/],
    ['http://u:s3cret@h', /redis:\/\/, rediss/],
    ['redis+tls://h', /redis:\/\/, rediss/],
    ['redis://h?password=s3cret', /neither/],
    ['unix://run/redis.sock', /three slashes/],
    ['unix://u:s3cret@/run/redis.sock', /beside it/],
    ['unix:///', /three slashes/],
    ['unix:///run/', /three slashes/],
    ['unix:/run/redis.sock', /three slashes/],
    ['unix:///run/redis.sock?db=x', /db=5/],
    ['unix:///run/redis.sock?db=1&x=s3cret', /db=5/],
    ['unix:///run/redis.sock?', /db=5/],
    ['unix:///run/redis.sock#1', /three slashes/],
    ['unix:///run/%00', /three slashes/],
    ['unix:///run/%zz', /three slashes/],
  ]
  for (const [url, message] of refused) {
    const problems = wrong({ url })
    t.equal(problems.length, 1, url)
    t.match(problems[0], message, url)
    t.notMatch(problems[0], 's3cret', url)
  }
  t.strictSame(readRedisUrl('redis://u:s3c@ret@h'), { at: { host: 'h', port: 6379 }, database: 0, username: 'u', password: 's3c@ret', tls: false }, 'the last @ ends the user info')
  t.end()
})

t.test('nodes of clusters and Sentinels have no database but 0', (t) => {
  for (const path of ['/1', '/x', '/?db=1', '#1']) {
    t.match(wrong({ cluster: [`redis://:s3cret@h:1${path}`] }), [/^redis\.cluster\[0\]: expected/], path)
    t.match(wrong({ sentinel: { master: 'm', nodes: ['s:1', `redis://s:2${path}`] } }), [/^redis\.sentinel\.nodes\[1\]: expected/], path)
    t.notMatch(wrong({ cluster: [`redis://:s3cret@h:1${path}`] })[0], 's3cret')
  }
  t.strictSame(wrong({ cluster: ['redis://h:1/0', 'valkey://i:1', 'j:1'] }), [])
  t.match(wrong({ cluster: ['unix:///run/redis.sock'] }), [/expected a redis:\/\/ or rediss:\/\/ URL, or a host and a port/])
  t.end()
})

t.test('users and passwords stand in one place', (t) => {
  t.match(wrong({ url: 'redis://u@h' }), [/^redis\.password: missing; a URL names a user/])
  t.strictSame(wrong({ url: 'redis://u@h', password: 'p' }), [])
  t.match(wrong({ url: 'redis://u@h', username: 'v', password: 'p' }), [/^redis\.username: given twice/])
  t.match(wrong({ url: 'redis://u:p@h', username: 'v' }), [/^redis\.password: given twice/])
  t.strictSame(wrong({ url: 'unix:///run/redis.sock', username: 'u', password: 'p' }), [])
  t.match(wrong({ sentinel: { master: 'm', nodes: ['redis://u@s:1'] } }), [/^redis\.sentinel\.password: missing/])
  t.match(wrong({ sentinel: { master: 'm', nodes: ['redis://:p@s:1'], password: 'q' } }), [/^redis\.sentinel\.password: given twice/])
  t.strictSame(wrong({ sentinel: { master: 'm', nodes: ['redis://:p@s:1'] }, username: 'u', password: 'q' }), [])
  t.end()
})

t.test('redis.tls: files that can be read, a certificate with its key, and servers that speak TLS', (t) => {
  const folder = t.testdir({ 'a.pem': testCertificate, 'key.pem': testKey, 'a.yaml': '' })
  const [file, key, yaml] = [`${folder}/a.pem`, `${folder}/key.pem`, `${folder}/a.yaml`]
  t.strictSame(wrong({ url: 'rediss://h', tls: { ca: file, cert: file, key, servername: 'redis.test', rejectUnauthorized: true } }), [])
  t.strictSame(wrong({ cluster: ['h:1', 'rediss://i:1'], tls: {} }), [])
  t.strictSame(wrong({ sentinel: { master: 'm', nodes: ['s:1'] }, tls: { ca: file } }), [])
  for (const name of ['ca', 'cert', 'key'])
    t.match(wrong({ url: 'rediss://h', tls: { ca: file, cert: file, key, [name]: '/nowhere' } }), [`redis.tls.${name}: cannot read /nowhere: there is no such file`])
  t.match(wrong({ url: 'rediss://h', tls: { cert: file } }), ['redis.tls.key: missing; redis.tls.cert is given and needs its key'])
  t.match(wrong({ url: 'rediss://h', tls: { key } }), ['redis.tls.cert: missing; redis.tls.key is given and needs its certificate'])
  for (const redis of [{ url: 'redis://h' }, { url: 'unix:///run/s' }, { cluster: ['redis://h:1'] }, { sentinel: { master: 'm', nodes: ['redis://h:1'] } }]) {
    t.match(wrong({ ...redis, tls: {} }), [/^redis\.tls: given, but redis\.\S+ is without TLS \(redis:\/\/ or unix:\/\/\); write rediss:\/\//])
  }
  t.match(wrong({ cluster: ['redis://h:1', 'i:1'], tls: {} }), [/some nodes have rediss:\/\//, /redis\.tls: given/])
  t.match(wrong({ url: 'rediss://h', tls: { servername: '10.0.0.1' } }), [/^redis\.tls\.servername: expected a host name/])
  writeFileSync(yaml, `redis: { url: "rediss://h", tls: { ca: ${file} } }\norigins: { api: { servers: [http://127.0.0.1:1] } }\n`)
  t.match(loadConfig({ file: yaml, env: { SPRINGHOUSE_REDIS_TLS_SERVERNAME: 'redis.test' } }).config.redis, {
    tls: { ca: file, servername: 'redis.test', rejectUnauthorized: true },
  })
  t.end()
})
