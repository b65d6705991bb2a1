// Real processes whose log, or standard error, cannot be written: they serve, reload, stop and crash as they would otherwise.
import { execFileSync, spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmdirSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap, { test, type Test } from 'tap'
import { ask } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { crashing, freePort } from './command.ts'

tap.setTimeout(360_000)

const token = 'a-token-for-the-tests-of-logs'

interface Unwritable {
  readonly child: ChildProcess
  readonly proxy: number
  readonly admin: number
  readonly ended: Promise<number | NodeJS.Signals | null>
}

interface Start {
  readonly stdio: StdioOptions
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a proxy before an origin that is down, so each request is a line in the log. Its output cannot be read. */
async function start(t: Test, { stdio, args = [], env = {} }: Start): Promise<Unwritable> {
  const [proxy, admin] = [await freePort(), await freePort()]
  const flags = ['serve', '--origin', 'http://127.0.0.1:9', '--host', '127.0.0.1', '--port', String(proxy), '--admin-port', String(admin)]
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, crashing, ...flags, ...args], {
    env: { PATH: process.env.PATH, SPRINGHOUSE_ADMIN_TOKEN: token, ...env },
    stdio,
  })
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal))
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await eventually(() => ask(admin, { path: '/readyz' }).then(({ status }) => status === 200, () => false))
  return { child, proxy, admin, ended }
}

/** Sends requests on ten connections, and returns how many got a response. Each path is the prefix and a number. */
async function answered({ proxy }: Unwritable, count: number, prefix = '/'): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 10 })
  const answers = await Promise.all(Array.from({ length: count }, (_, i) => ask(proxy, { agent, path: `${prefix}${i}` }).then(({ status }) => status)))
  agent.destroy()
  return answers.filter((status) => status === 502).length
}

async function dropped({ admin }: Unwritable): Promise<number> {
  const { body } = await ask(admin, { path: '/metrics', headers: ['Authorization', `Bearer ${token}`] })
  const samples = [...body.toString().matchAll(/^springhouse_log_lines_dropped_total(?:\{[^}]*\})? (\d+)$/gm)]
  return samples.reduce((sum, [, value]) => sum + Number(value), 0)
}

/** Sends requests until further lines of the log are dropped, `most` at most. Returns how many it sent, and how many got a response. */
async function flood(serve: Unwritable, most = 1000): Promise<{ sent: number; got: number }> {
  const before = await dropped(serve)
  let [sent, got] = [0, 0]
  do {
    got += await answered(serve, 50)
    sent += 50
  } while (sent < most && await dropped(serve) === before)
  return { sent, got }
}

/** A pipe: the end that a process writes to, and the end that this process reads, or closes. */
function pipe(t: Test): { writeEnd: number; read(): string; close(): void } {
  const path = `${t.testdir()}/${Math.random()}`
  execFileSync('mkfifo', [path])
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writeEnd = openSync(path, 'w')
  let open = true
  const close = (): void => {
    if (open) closeSync(readEnd)
    open = false
  }
  t.teardown(() => {
    close()
    closeSync(writeEnd)
  })
  const chunk = Buffer.alloc(65_536)
  return {
    writeEnd,
    close,
    read() {
      let text = ''
      try {
        for (let length = 1; length > 0;) {
          length = readSync(readEnd, chunk)
          text += chunk.toString('latin1', 0, length)
        }
      } catch {
        // EAGAIN: all is read.
      }
      return text
    },
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const full = (): number => openSync('/dev/full', 'w')

interface Case {
  readonly name: string
  /** The standard output and standard error of the process, and an action once it serves. */
  readonly given: (t: Test) => { stdio: StdioOptions; once?: () => void }
}

const cases: readonly Case[] = [
  { name: 'standard output is a full disk', given: () => ({ stdio: ['ignore', full(), 'ignore'] }) },
  { name: 'standard error is a full disk', given: () => ({ stdio: ['ignore', 'ignore', full()] }) },
  { name: 'both are a full disk', given: () => ({ stdio: ['ignore', full(), full()] }) },
  { name: 'the reader of both has closed its pipe', given: (t) => {
    const { writeEnd, close } = pipe(t)
    return { stdio: ['ignore', writeEnd, writeEnd], once: close }
  } },
  { name: 'nobody reads the pipe of standard output', given: (t) => ({ stdio: ['ignore', pipe(t).writeEnd, 'ignore'] }) },
  { name: 'nobody reads the pipe of both', given: (t) => {
    const { writeEnd } = pipe(t)
    return { stdio: ['ignore', writeEnd, writeEnd] }
  } },
  // Node makes socket pairs of these, and reads no more than one buffer of each.
  { name: 'nobody reads the sockets of both', given: () => ({ stdio: ['ignore', 'pipe', 'pipe'] }) },
]

// Guard: descriptor.ts and sink.ts. With pino's own destination each case hangs, and only SIGKILL ends the process.
for (const { name, given } of cases) {
  for (const pretty of name === 'nobody reads the pipe of both' ? ['false', 'true'] : ['false']) {
    test(`${name}: requests get responses, and SIGTERM ends the process in order; pretty: ${pretty}`, async (t) => {
      const { stdio, once } = given(t)
      const serve = await start(t, { stdio, env: { SPRINGHOUSE_LOG_PRETTY: pretty } })
      once?.()
      // No line of a request goes to standard error.
      const { sent, got } = await flood(serve, name.includes('standard error') ? 100 : 1000)
      t.equal(got, sent)
      serve.child.kill('SIGHUP')
      t.equal(await answered(serve, 10), 10)
      if (!name.includes('standard error')) t.ok(await dropped(serve) > 0)
      serve.child.kill('SIGTERM')
      t.equal(await serve.ended, 0)
    })
  }

  test(`${name}: an uncaught exception ends the process with 1`, async (t) => {
    const { stdio, once } = given(t)
    const serve = await start(t, { stdio })
    once?.()
    await flood(serve, name.includes('standard error') ? 100 : 1000)
    serve.child.kill('SIGUSR2')
    t.equal(await serve.ended, 1)
  })
}

for (const { name, given } of cases.filter((each) => /both/.test(each.name))) {
  test(`${name}: so it is with two workers, one of which crashes`, async (t) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const { stdio, once } = given(t)
    const serve = await start(t, { stdio, args: ['--redis', redis.url, '--workers', '2'] })
    once?.()
    const { sent, got } = await flood(serve)
    t.equal(got, sent)
    t.ok(await dropped(serve) > 0)
    const pids = async (): Promise<number[]> => {
      const { body } = await ask(serve.admin, { path: '/v1/stats', headers: ['Authorization', `Bearer ${token}`] })
      return (JSON.parse(body.toString()) as { workers: { pid: number }[] }).workers.map(({ pid }) => pid)
    }
    // Each worker that ends restores the state in which it found the shared descriptors.
    for (let crash = 0; crash < 2; crash++) {
      const [first = 0] = await pids()
      process.kill(first, 'SIGUSR2')
      await eventually(async () => {
        const now = await pids().catch((): number[] => [])
        return now.length === 2 && !now.includes(first)
      })
      t.equal(await answered(serve, 100), 100)
    }
    serve.child.kill('SIGHUP')
    serve.child.kill('SIGTERM')
    t.equal(await serve.ended, 0)
  })
}

interface Line {
  readonly msg: string
  readonly lines?: number
  readonly target?: string
}

const isReport = ({ msg }: Line): boolean => msg.startsWith('log lines were dropped')
const reported = (lines: readonly Line[]): number => lines.filter(isReport).reduce((sum, line) => sum + (line.lines ?? 0), 0)

for (const workers of [1, 2]) {
  test(`once the pipe is read again, lines follow that say how many were lost, and each line is whole; workers: ${workers}`, async (t) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const { writeEnd, read } = pipe(t)
    const serve = await start(t, { stdio: ['ignore', writeEnd, 'ignore'], args: ['--redis', redis.url, '--workers', String(workers)] })
    const { sent, got } = await flood(serve)
    // Enough that each worker loses some.
    t.equal(got + await answered(serve, 300), sent + 300)
    const lost = await dropped(serve)
    t.ok(lost > 0)
    let text = ''
    const lines = (): Line[] => text.slice(0, text.lastIndexOf('\n')).split('\n').map((line) => JSON.parse(line) as Line)
    await eventually(() => {
      text += read()
      return reported(lines()) === lost
    })
    // These lines have paths of their own: a worker that lost nothing may still hold lines of the flood.
    await answered(serve, 20, '/after-')
    serve.child.kill('SIGTERM')
    t.equal(await serve.ended, 0)
    text += read()
    t.ok(lines().filter(({ target }) => target !== undefined).length + lost >= sent + 320, 'each line is there or counted')
    // Each request has a line about its error and a line of the access log.
    t.equal(lines().filter(({ target }) => target?.startsWith('/after-')).length, 2 * 20, 'no line is lost once the pipe is read')
  })
}

/** A disk of 64 KiB; undefined where this user may not mount one. */
function smallDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'springhouse-disk-'))
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder]).status === 0) return folder
  rmdirSync(folder)
  return undefined
}

const disk = smallDisk()
tap.teardown(() => {
  if (disk === undefined) return
  execFileSync('umount', [disk])
  rmdirSync(disk)
})

test('a small disk that fills and is emptied costs lines, and nothing else', { skip: disk === undefined && 'this user may not mount a tmpfs' }, async (t) => {
  const folder = disk as string
  const file = `${folder}/log`
  const fd = openSync(file, 'a')
  t.teardown(() => closeSync(fd))
  const serve = await start(t, { stdio: ['ignore', fd, 'ignore'] })
  const first = await flood(serve)
  t.equal(first.got, first.sent)
  const lost = await dropped(serve)
  t.ok(lost > 0)
  truncateSync(file)
  await eventually(() => readFileSync(file, 'utf8').includes('log lines were dropped'))
  const logged = readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as { msg: string; lines: number })
  t.match(logged[0], { msg: /^log lines were dropped/ }, 'the half line from before went with the file')
  t.ok((logged[0]?.lines ?? 0) >= lost)
  writeFileSync(`${folder}/other`, Buffer.alloc(40 * 1024))
  const second = await flood(serve)
  t.equal(second.got, second.sent)
  const cut = readFileSync(file, 'latin1')
  t.not(cut.at(-1), '\n', 'the disk was full in the middle of a line')
  unlinkSync(`${folder}/other`)
  await eventually(() => readFileSync(file, 'utf8').length > cut.length && readFileSync(file, 'utf8').endsWith('\n'))
  const unreadable = readFileSync(file, 'utf8').trimEnd().split('\n').filter((line) => !line.startsWith('{') || !isJson(line))
  t.same(unreadable, [], 'the truncated line is completed')
  serve.child.kill('SIGTERM')
  t.equal(await serve.ended, 0)
})
