// deploy/systemd: systemd accepts the unit, and its stop waits for as long as the program may take.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { page } from '../docs/blocks.ts'
import { argumentProblem } from '../docs/verbs.ts'
import { skipWithout } from './programs.ts'

const unit = page('deploy/systemd/springhouse@.service')
const valueOf = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? ''

t.test('systemd accepts the unit', { skip: skipWithout('systemd-analyze', ['--version']) }, async t => {
  const folder = t.testdir({ units: {} })
  mkdirSync(join(folder, 'units'), { recursive: true })
  const file = join(folder, 'units/springhouse@8080.service')
  const verify = (text: string) => {
    // The program is not installed here.
    writeFileSync(file, text.replace('/usr/bin/springhouse', process.execPath))
    return spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
  }
  const { status, stdout, stderr } = verify(unit)
  t.match({ status, said: stdout + stderr }, { status: 0, said: /^(?![^]*springhouse@)/ })
  t.match(verify(unit.replace('KillMode=', 'KilMode=')).stderr, /springhouse@[^]*KilMode/, 'and finds a name that it does not know')
})

t.test('it starts the program, and waits for its stop', async t => {
  const [program, ...args] = valueOf('ExecStart').replaceAll('%i', '8080').split(' ')
  t.equal(program, '/usr/bin/springhouse')
  t.equal(await argumentProblem(args), undefined)
  const { proxy } = resolveConfig({ origins: { api: { servers: ['http://127.0.0.1:9'] } } })
  t.ok(Number(valueOf('TimeoutStopSec')) * 1000 > proxy.shutdownDelayMs + proxy.shutdownGraceMs)
  t.equal(valueOf('KillMode'), 'mixed')
})
