// The scripts of docs/pipelines.md, as a pipeline runs them, against proxies that purge, that do not confirm, that fail and that are not there.
import { spawn } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { endWithUs } from '../support/children.ts'
import { startProxy, token } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { Replica } from '../support/replica.ts'
import { systemClock } from '../../src/clock.ts'
import { eventually } from '../support/log.ts'
import { closedPort } from '../support/scripted-origin.ts'
import { blocksOf, page, type Block } from './blocks.ts'

const program = new URL('../../program/cli/main.js', import.meta.url).pathname
const blocks = blocksOf(page('docs/pipelines.md'))

function blockOf(language: string, info = ''): string {
  return (blocks.find(block => block.language === language && block.info === info) as Block).text
}

/** The lines that each system hands to its shell. */
function scripts(): Record<string, string> {
  const github = parse(blockOf('yaml', 'github')) as { jobs: { deploy: { steps: { run: string }[] } } }
  const gitlab = parse(blockOf('yaml', 'gitlab')) as { purge: { script: string[] } }
  return {
    github: github.jobs.deploy.steps.map(({ run }) => run).join('\n'),
    gitlab: gitlab.purge.script.join('\n'),
    jenkins: /'''\n([^]*?)'''/.exec(blockOf('groovy'))?.[1] ?? '',
  }
}

/** A folder with `springhouse` as this build, and a `sleep` that takes no time. */
function path(t: Test): string {
  const folder = t.testdir({})
  for (
    const [name, line] of Object.entries({
      // The last --wait counts: a replica that never confirms is not waited for in full.
      springhouse: `exec ${process.execPath} ${program} "$@" --wait 50ms`,
      sleep: 'echo "$1" >> "$0.log"',
    })
  ) {
    writeFileSync(`${folder}/${name}`, `#!/bin/sh\n${line}\n`)
    chmodSync(`${folder}/${name}`, 0o755)
  }
  return `${folder}:${process.env['PATH']}`
}

async function codes(t: Test, admin: string, secret = token): Promise<Record<string, number | null>> {
  const found: Record<string, number | null> = {}
  for (const [name, script] of Object.entries(scripts())) {
    t.match(script, /springhouse purge --tag/, name)
    const child = spawn('env', ['-u', 'NODE_OPTIONS', 'bash', '-e', '-c', script], { env: { PATH: path(t), SPRINGHOUSE_ADMIN: admin, SPRINGHOUSE_ADMIN_TOKEN: secret },
      stdio: 'ignore' })
    endWithUs(child)
    found[name] = await new Promise(resolve => {
      child.once('close', resolve)
    })
  }
  return found
}

const all = (code: number): Record<string, number> => ({ github: code, gitlab: code, jenkins: code })

t.test('a purge that is confirmed ends with 0, a token that is refused with 5, and no listener with 6', async t => {
  const house = await startProxy(t, { origin: (_request, response) => void response.end() })
  t.same(await codes(t, house.app.adminUrl), all(0))
  t.same(await codes(t, house.app.adminUrl, 'a-token-that-nobody-has'), all(5))
  t.same(await codes(t, `http://127.0.0.1:${await closedPort()}`), all(6))
})

t.test('a replica that does not confirm makes it 3, and a Redis that is not there 4', async t => {
  const server = await startRedis()
  const coherence = { maxLagMs: 60_000 }
  const house = await startProxy(t, { origin: (_request, response) => void response.end(), redis: server.url, clock: systemClock, config: { coherence } })
  const other = new Replica({ name: 'frozen', workers: 1,
    config: { proxy: { host: '127.0.0.1', port: 0 }, admin: { host: '127.0.0.1', port: 0 }, origins: { api: { servers: ['http://127.0.0.1:9'] } },
      routes: [{ match: {}, origin: 'api' }], redis: { url: server.url }, coherence } })
  await other.start()
  t.teardown(async () => {
    await other.kill()
    await server.stop()
  })
  await eventually(async () => (JSON.parse(String((await house.admin('/v1/replicas')).body)) as { replicas: unknown[] }).replicas.length === 2)
  other.signal('SIGSTOP')
  t.same(await codes(t, house.app.adminUrl), all(3))
  await server.stop()
  t.same(await codes(t, house.app.adminUrl), all(4))
})

t.test('a failure that may pass is tried three times, and no other', t => {
  const { github = '', jenkins = '' } = scripts()
  for (const script of [github, jenkins]) t.match(script, /case \$code in 4\|6\|7\) sleep 5 ;; \*\) break ;; esac/)
  t.same((parse(blockOf('yaml', 'gitlab')) as { purge: { retry: object } }).purge.retry, { max: 2, exit_codes: [4, 6, 7] })
  t.end()
})
