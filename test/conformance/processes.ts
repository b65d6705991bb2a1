// The processes of a run: the suite's server, Springhouse before it, and the suite's client, each on ports that the system gives.
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endWithUs } from '../support/children.ts'
import type { Suite } from './suite.ts'

/** Ten times the duration of the whole suite: a client that takes longer hangs. */
const clientTimeoutMs = 300_000
const startTimeoutMs = 60_000

export interface Running {
  /** The address that the process prints. */
  readonly at: string
  stop(): void
}

/** The suite's own server, as its package starts it: `at` is its port. */
export async function startSuiteServer(suite: Suite): Promise<Running> {
  const env = { npm_config_protocol: 'http', npm_config_port: '0', npm_config_pidfile: join(tmpdir(), `cache-tests-${process.pid}.pid`) }
  return start(suite.server, suite.directory, env, /^Listening on .*:(\d+)\/$/m)
}

/** `springhouse serve`: `at` is the URL of its proxy. */
export async function startSpringhouse(root: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Running> {
  const listen = ['--host', '127.0.0.1', '--port', '0', '--admin-port', '0']
  const secrets = { SPRINGHOUSE_ADMIN_TOKEN: 'only-for-the-cache-tests', SPRINGHOUSE_LOG_LEVEL: 'silent' }
  return start([join(root, 'dist/cli/main.js'), 'serve', ...args, ...listen], root, { ...secrets, ...env }, /^springhouse is ready\n\s+proxy\s+(\S+)\n/m)
}

/** Returns the output of the suite's client for a proxy: the results as JSON, or with `id` the whole exchange of one test. */
export async function runClient(suite: Suite, proxy: string, id: string): Promise<string> {
  const env = { ...process.env, npm_config_base: proxy, npm_config_id: id, npm_package_config_id: id }
  const child = spawn(process.execPath, suite.client, { cwd: suite.directory, env, timeout: clientTimeoutMs, stdio: ['ignore', 'pipe', 'inherit'] })
  endWithUs(child)
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  const ended = await new Promise(resolve => {
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  if (ended !== 0) throw new Error(`the suite's client ended with ${String(ended)}`)
  return printed
}

/** Starts a Node program. Resolves with the group of `ready` once the output matches it. @throws when it ends before, or does not come up. */
async function start(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>, ready: RegExp): Promise<Running> {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  endWithUs(child)
  let printed = ''
  let up = false
  const at = await new Promise<string>((resolve, reject) => {
    const fail = (how: string): void => reject(new Error(`${args.join(' ')} ${how}${printed === '' ? '' : `:\n${printed}`}`))
    const timer = setTimeout(() => fail('did not come up'), startTimeoutMs)
    child.once('close', () => {
      clearTimeout(timer)
      fail('ended')
    })
    for (const stream of [child.stdout, child.stderr]) {
      // Read to the end, ready or not: a full pipe would stop the process.
      stream.setEncoding('utf8').on('data', (text: string) => {
        if (up) return
        printed += text
        const match = ready.exec(printed)
        if (match === null) return
        up = true
        clearTimeout(timer)
        resolve(match[1] as string)
      })
    }
  })
  return { at, stop: () => {
    child.kill('SIGKILL')
  } }
}
