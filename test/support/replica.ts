// A replica: the real program as a process of its own, alone or with workers, which can be frozen, killed and started again.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endWithUs } from './children.ts'

// Compiled, this is .build/test/support/replica.js. tools/packages.mjs bundles the program.
const program = new URL('../../program/cli/main.js', import.meta.url).pathname
const directory = mkdtempSync(join(tmpdir(), 'springhouse-replica-'))
process.on('exit', () => {
  rmSync(directory, { recursive: true, force: true })
})

export interface ReplicaOptions {
  readonly name: string
  readonly workers: number
  /** The content of its file, without `workers`. Listeners are on 127.0.0.1, at ports that it chooses. */
  readonly config: object
  /** Environment variables for it. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** The compiled program; by default the program that is built with the tests. */
  readonly program?: string | undefined
  /** Called with each line that it writes on standard output: its log. */
  readonly logged?: (line: string) => void
}

export class Replica {
  readonly name: string
  readonly workers: number
  readonly #options: ReplicaOptions
  #child: ChildProcess | undefined
  #proxyPort = 0
  #adminPort = 0
  #up = false
  #workerPids: number[] = []
  #said = ''

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.name = options.name
    this.workers = options.workers
  }

  get up(): boolean {
    return this.#up
  }

  get proxyPort(): number {
    return this.#proxyPort
  }

  get adminPort(): number {
    return this.#adminPort
  }

  /** The process ids of its workers, as far as they are known. */
  get workerPids(): readonly number[] {
    return this.#workerPids
  }

  /** The content of its file at its next start. */
  protected get config(): object {
    return this.#options.config
  }

  /** Resolves when it serves. @throws Error when it ends instead, with its output. */
  async start(): Promise<void> {
    const file = join(directory, `${this.name}.json`)
    writeFileSync(file, JSON.stringify({ ...this.config, workers: this.workers }))
    // env(1) removes the variables that tap gives to every child. A group of its own, so that workers are signalled with their
    // primary.
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, this.#options.program ?? program, 'serve', '--config', file], {
      env: { PATH: process.env['PATH'], SPRINGHOUSE_PROXY_SHUTDOWN_DELAY_MS: '0', ...this.#options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    if (child.pid === undefined) throw new Error('the program could not be started')
    endWithUs(child, { group: true })
    this.#child = child
    this.#said = ''
    this.#workerPids = []
    child.stdout.setEncoding('utf8')
    let line = ''
    child.stdout.on('data', (text: string) => {
      const lines = (line + text).split('\n')
      line = lines.pop() ?? ''
      for (const one of lines) this.#options.logged?.(one)
    })
    let ready = false
    await new Promise<void>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
        this.#findWorkers()
        // Lines that it writes later, as it stops, do not make it ready again.
        if (ready) return
        const found = /^springhouse is ready\n\s+proxy\s+\S+:(\d+)\n\s+admin\s+\S+:(\d+)\n[^]*origin.*\n/m.exec(this.#said)
        if (found === null) return
        ready = true
        this.#proxyPort = Number(found[1])
        this.#adminPort = Number(found[2])
        this.#up = true
        resolve()
      })
      child.once('close', () => {
        if (this.#child === child) this.#up = false
        reject(new Error(`replica ${this.name} ended: ${this.#said}`))
      })
    })
  }

  #findWorkers(): void {
    const first = /workers\s+\d+ \(processes ([\d, ]+)\)/.exec(this.#said)
    if (first === null) return
    const replaced = [...this.#said.matchAll(/worker (\d+) serves in its place/g)].map((match) => Number(match[1]))
    const ended = new Set([...this.#said.matchAll(/worker (\d+) ended/g)].map((match) => Number(match[1])))
    this.#workerPids = [...(first[1] as string).split(', ').map(Number), ...replaced].filter((pid) => !ended.has(pid))
  }

  /** Its primary and its workers: SIGSTOP freezes them, SIGCONT lets them go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.#child?.pid !== undefined) signalGroup(this.#child.pid, signal)
  }

  /** Its primary, or the only process that it is. undefined while it does not run. */
  get pid(): number | undefined {
    const child = this.#child
    return child === undefined || child.exitCode !== null || child.signalCode !== null ? undefined : child.pid
  }

  /** Its standard error since its start. */
  get said(): string {
    return this.#said
  }

  /** Makes it read its file again. */
  reload(): void {
    this.#child?.kill('SIGHUP')
  }

  /** Stops it, and waits until it has ended. Returns its exit code, or the signal that ended it. */
  async drain(): Promise<number | NodeJS.Signals> {
    this.#up = false
    return this.#end((child) => {
      child.kill('SIGTERM')
    })
  }

  /** Ends all of it at once, and waits until it has. */
  async kill(): Promise<void> {
    this.#up = false
    await this.#end((child) => signalGroup(child.pid as number, 'SIGKILL'))
  }

  async #end(how: (child: ChildProcess) => void): Promise<number | NodeJS.Signals> {
    const child = this.#child
    if (child === undefined || this.pid === undefined) return child?.exitCode ?? child?.signalCode ?? 0
    const ended = new Promise<number | NodeJS.Signals>((resolve) => {
      child.once('close', (code, signal) => resolve(code ?? signal ?? 0))
    })
    how(child)
    return ended
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch {
    // It has ended.
  }
}
