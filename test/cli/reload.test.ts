// A reload without a signal: by the admin API, by `springhouse reload`, and with --watch.
import { mkdirSync, symlinkSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { ask } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { anyPort, run, Running, urls } from './command.ts'

const tokens = `[ { name: admin, token: the-token-of-an-admin, scopes: [admin] }, { name: all, token: the-token-for-all-things, scopes: [read, purge, sessions] },
  { name: reader, token: the-token-of-a-reader, scopes: [read, purge] } ]`

async function site(t: Test): Promise<(route: string, more?: string) => string> {
  const origin = await startOrigin((request, response) => response.end(request.url))
  t.teardown(() => origin.close())
  return (route, more = '') =>
    `origins: { api: { servers: [ ${origin.url} ] } }\nadmin: { host: 127.0.0.1, port: 0, tokens: ${tokens} }\nroutes: [ { match: { path: ${route} }, origin: api } ]\n${more}\n`
}

const statusOf = async (proxy: string, path: string): Promise<number> => (await ask(Number(new URL(proxy).port), { path })).status

// Fails without reload.ts of the admin API; with workers, without reload-replies.ts: the command would end before they had reloaded.
for (const workers of [1, 2]) {
  test(`springhouse reload says how it went; workers: ${workers}`, async (t) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const text = await site(t)
    const file = join(t.testdir({}), 'a.yaml')
    writeFileSync(file, text('/old'))
    const serve = new Running(t, ['serve', '--config', file, ...anyPort, '--redis', redis.url, '--workers', String(workers)])
    const { proxy, admin } = await urls(serve)
    const reload = (token: string, ...more: string[]) => run(t, ['reload', '--admin', admin, '--token', token, ...more])
    const both = async () => Promise.all(['/old', '/new'].flatMap((path) => [1, 2, 3, 4].map(() => statusOf(proxy, path))))
    const [old, renewed] = [[200, 200, 200, 200, 404, 404, 404, 404], [404, 404, 404, 404, 200, 200, 200, 200]]
    t.same(await both(), old)

    writeFileSync(file, text('/new'))
    t.match(await reload('the-token-of-a-reader'), { code: 5, stderr: /The token lacks the required scope/ })
    t.same(await both(), old)
    t.strictSame(await reload('the-token-of-an-admin'), { code: 0, stdout: 'configuration reloaded\n', stderr: '' })
    t.same(await both(), renewed, 'as soon as the command ends, in every worker')

    writeFileSync(file, text('/old', 'coherence: { maxLagMs: 4s }\nlog: { level: warn }'))
    const waiting = await reload('the-token-for-all-things')
    t.match(waiting, { code: 0, stderr: 'springhouse: changes of these settings wait for the next start: coherence, log\n' })
    t.same(await both(), old)

    writeFileSync(file, text('/v1/*'))
    const refused = await reload('the-token-of-an-admin', '--json')
    t.match(refused, { code: 1,
      stderr: /^springhouse: The configuration is not valid\. The running configuration stays in force\. routes\[0\]\.match\.path a wildcard is not supported/ })
    t.match(JSON.parse(refused.stdout), { status: 422, code: 'CONFIG_INVALID', errors: [{ path: 'routes[0].match.path' }] })
    t.same(await both(), old)
    await serve.says(/the new configuration is refused; the running configuration stays in force/)
  })
}

// Fails without `watchFiles` in run.ts. Kubernetes mounts a ConfigMap as a link to a folder, and replaces that link.
test('with --watch, a replaced ConfigMap is taken up, and a bad one leaves the running one', async (t) => {
  const text = await site(t)
  const dir = t.testdir({})
  const publish = (version: string, content: string): void => {
    mkdirSync(join(dir, version))
    writeFileSync(join(dir, version, 'a.yaml'), content)
    symlinkSync(version, join(dir, '..data_tmp'))
    renameSync(join(dir, '..data_tmp'), join(dir, '..data'))
  }
  publish('v1', text('/one'))
  symlinkSync('..data/a.yaml', join(dir, 'a.yaml'))
  const serve = new Running(t, ['serve', '--config', join(dir, 'a.yaml'), ...anyPort, '--watch'])
  const { proxy } = await urls(serve)
  t.equal(await statusOf(proxy, '/one'), 200)
  publish('v2', text('/two'))
  await eventually(async () => await statusOf(proxy, '/two') === 200)
  t.equal(await statusOf(proxy, '/one'), 404)
  publish('v3', text('/three, wrong: 1'))
  await serve.says(/the new configuration is refused/)
  t.equal(await statusOf(proxy, '/two'), 200)
  publish('v4', text('/four'))
  await eventually(async () => await statusOf(proxy, '/four') === 200)
})
