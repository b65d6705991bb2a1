// The compiled program as a real process, and its output.
import { spawn, type ChildProcess } from 'node:child_process'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createListener, type AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import { endWithUs } from '../support/children.ts'

// From .build/test/cli, where this runs. tools/packages.mjs bundles these programs.
const program = new URL('../../program/cli/main.js', import.meta.url).pathname
/** The program with errors of the test's own in it: see test/support/crashing.ts. */
export const crashing = new URL('../../program/cli/crashing.js', import.meta.url).pathname

/** A primary and a worker of the test's own: see test/support/giving-back.ts. */
export const givingBack = new URL('../../program/cli/giving-back.js', import.meta.url).pathname

/** A stop does not wait for load balancers, unless a test is about that. */
const prompt = { SPRINGHOUSE_PROXY_SHUTDOWN_DELAY_MS: '0' }

/** A process of the program. Ends with the test that started it. */
export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  #stdout = ''
  #stderr = ''
  #waiting: (() => void)[] = []

  constructor(t: Test, args: readonly string[], env: Record<string, string> = {}, file: string = program, openFiles?: number) {
    // Without the variables of the test run: a SPRINGHOUSE_ variable would change the test. tap sets NODE_OPTIONS for every
    // child, which makes each start several times as slow. So env(1) removes it; env then becomes the program, so that signals
    // reach the program.
    // `openFiles`: the limit of open files.
    const limited = openFiles === undefined ? [] : ['sh', '-c', `ulimit -n ${openFiles} && exec "$@"`, 'sh']
    this.child = spawn('env', ['-u', 'NODE_OPTIONS', ...limited, process.execPath, file, ...args], { env: { PATH: process.env.PATH, ...prompt, ...env },
      stdio: ['ignore', 'pipe', 'pipe'] })
    endWithUs(this.child)
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#look()
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#look()
    })
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        resolve({ code: code ?? signal, stdout: this.#stdout, stderr: this.#stderr })
        this.#look()
      })
    })
    t.teardown(async () => {
      this.child.kill('SIGKILL')
      await this.ended
    })
  }

  /** Returns the first match on standard error, now or later; fails when the process ends without one. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#stderr)
      if (match !== null) return match
      if (this.child.exitCode !== null || this.child.signalCode !== null) throw new Error(`ended without saying ${pattern}: ${this.#stderr}`)
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    }
  }

  #look(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** Flags for a start that sends nothing to an origin. */
export const origin = ['--origin', 'http://127.0.0.1:9']
export const anyPort = ['--host', '127.0.0.1', '--port', '0', '--admin-port', '0']

/** Where a serve listens, once it is ready. */
export async function urls(serve: Running): Promise<{ proxy: string; admin: string }> {
  const [, proxy, admin] = await serve.says(/^springhouse is ready\n\s+proxy\s+(\S+)\n\s+admin\s+(\S+)\n[^]*origin.*\n/m)
  return { proxy: proxy as string, admin: admin as string }
}

export interface Ended {
  readonly code: number | NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end. */
export function run(t: Test, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return new Running(t, args, env).ended
}

/** Runs a command on a terminal: script(1) gives it one. Its standard output has both outputs. */
export async function onTerminal(t: Test, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const command = [process.execPath, program, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const child = spawn('env', ['-u', 'NODE_OPTIONS', 'script', '-qec', command, '/dev/null'], { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  endWithUs(child)
  t.teardown(() => child.kill('SIGKILL'))
  const read = async (stream: Readable): Promise<string> => {
    let text = ''
    for await (const chunk of stream.setEncoding('utf8')) text += chunk as string
    return text
  }
  const [stdout, stderr, code] = await Promise.all([read(child.stdout), read(child.stderr), new Promise<number | null>((resolve) => void child.once('close', resolve))])
  return { code, stdout, stderr }
}

export interface Asked {
  readonly method: string
  readonly url: string
  readonly authorization: string | undefined
  readonly body: unknown
}

/** A server that responds like the admin API, and records its requests. */
export async function adminServer(t: Test, answer: (asked: Asked) => { status: number; body: unknown }): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const one = { method: request.method ?? '', url: request.url ?? '', authorization: request.headers.authorization, body: await readBody(request) }
    asked.push(one)
    const { status, body } = answer(one)
    response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const listener = createListener()
  await new Promise<void>((resolve) => {
    listener.listen(0, '127.0.0.1', resolve)
  })
  const { port } = listener.address() as AddressInfo
  await new Promise((resolve) => {
    listener.close(resolve)
  })
  return port
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return text === '' ? undefined : (JSON.parse(text) as unknown)
}
