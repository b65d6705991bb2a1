// A real Redis of the test's own, on a free port. It ends with the test.
import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { endWithUs } from './children.ts'

export interface RedisServer {
  readonly url: string
  readonly host: string
  readonly port: number
  /** undefined while it is stopped. */
  readonly pid: number | undefined
  /** SIGSTOP freezes it, SIGCONT lets it go on, SIGKILL ends it at once. */
  kill(signal: NodeJS.Signals): void
  /** Ends it, and waits until it has ended. Safe to call again. */
  stop(): Promise<void>
  /** Starts it again on the same port, after `stop` or a kill: empty, or with the last snapshot that it saved. */
  restart(from?: 'snapshot'): Promise<void>
}

export interface RedisServerOptions {
  /** More arguments, as on the command line: ['--cluster-enabled', 'yes']. */
  readonly args?: readonly string[]
  /** Environment variables for it, beside those of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** The configuration of a Sentinel: the masters that it watches. If given, the server is a Sentinel. */
  readonly sentinel?: string
}

const directories = new Set<string>()
process.on('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

/**
 * Starts a server without persistence: the program that SPRINGHOUSE_TEST_REDIS names, or else redis-server or valkey-server.
 * @throws when there is none on PATH (see ensure-redis.sh).
 */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const host = '127.0.0.1'
  const program = process.env['SPRINGHOUSE_TEST_REDIS'] ?? findProgram(['redis-server', 'valkey-server'])
  const directory = mkdtempSync(join(tmpdir(), 'springhouse-redis-'))
  directories.add(directory)
  let child: ChildProcess | undefined
  let ended: Promise<void> = Promise.resolve()
  let port = 0

  const start = async (): Promise<void> => {
    // Another process may take the port between its choice and its use: then it ends at once, and another is tried.
    for (let attempt = 0; attempt < 5; attempt++) {
      port = port === 0 || attempt > 0 ? await freePort(host) : port
      const common = ['--port', String(port), '--bind', host, '--daemonize', 'no', '--dir', directory, '--protected-mode', 'no', '--loglevel', 'warning']
      const mode = options.sentinel === undefined
        ? [...common, '--save', '', '--appendonly', 'no']
        : [fileOf(directory, options.sentinel), ...common, '--sentinel']
      const started = spawn(program, [...mode, ...(options.args ?? [])], { stdio: 'ignore', env: { ...process.env, ...options.env } })
      endWithUs(started)
      ended = new Promise((resolve) => {
        started.once('exit', () => resolve())
      })
      child = started
      if (await answers(started, host, port)) return
      started.kill('SIGKILL')
      await ended
    }
    throw new Error(`${program} did not start`)
  }

  await start()
  return {
    get url() {
      return `redis://${host}:${port}`
    },
    host,
    get port() {
      return port
    },
    get pid() {
      return child?.exitCode === null && child.signalCode === null ? child.pid : undefined
    },
    kill: (signal) => {
      child?.kill(signal)
    },
    stop: async () => {
      child?.kill('SIGCONT')
      child?.kill('SIGKILL')
      await ended
    },
    restart: async (from) => {
      await ended
      // Redis also writes a snapshot when it becomes a replica of another server, and loads the file that it finds.
      if (from === undefined) rmSync(join(directory, 'dump.rdb'), { force: true })
      await start()
    },
  }
}

// A Sentinel writes its findings into its file.
function fileOf(directory: string, text: string): string {
  const path = join(directory, 'sentinel.conf')
  writeFileSync(path, text)
  return path
}

function findProgram(names: readonly string[]): string {
  for (const name of names) {
    for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
      const path = join(directory, name)
      try {
        accessSync(path, constants.X_OK)
        return path
      } catch {
        // Not in this one.
      }
    }
  }
  throw new Error('no redis-server on PATH: run test/support/ensure-redis.sh')
}

async function freePort(host: string): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

// Resolves to true once it replies to PING, if only with a demand for a password; false if it ends instead.
async function answers(child: ChildProcess, host: string, port: number): Promise<boolean> {
  for (let attempt = 0; attempt < 500 && child.exitCode === null && child.signalCode === null; attempt++) {
    if (await ping(host, port)) return true
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return false
}

async function ping(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, host, () => socket.write('PING\r\n'))
    socket.once('data', (data) => {
      socket.destroy()
      resolve(/^(?:\+PONG|-NOAUTH)/.test(data.toString()))
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}
