// One replica: the real program as a process of its own, alone or with workers, which can be frozen, killed and started again.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Wire } from './wire.ts'

// Compiled, this is .build/test/coherence/replica.js.
const program = new URL('../../src/cli/main.js', import.meta.url).pathname
const directory = mkdtempSync(join(tmpdir(), 'springhouse-coherence-'))
const groups = new Set<number>()
process.on('exit', () => {
  for (const group of groups) signalGroup(group, 'SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

export const token = 'a-token-for-the-check-of-coherence'
export const host = 'coherence.test'
/** How long an unsafe answer is held back until everyone knows: longer than a dead replica is counted, at the usual lag. */
export const purgeWaitMs = 6000

export interface ReplicaOptions {
  readonly name: string
  readonly origin: string
  readonly wire: Wire
  readonly workers: number
  readonly maxLagMs: number
  /** What its keys in Redis begin with: another one than the others' makes it deaf to their purges. */
  readonly keyPrefix: string
  /** Called with the target of an unsafe request whose invalidation it could not record. */
  readonly notRecorded: (target: string) => void
}

export class Replica {
  readonly name: string
  readonly wire: Wire
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
    this.wire = options.wire
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

  /** Of its workers, as far as they are known. */
  get workerPids(): readonly number[] {
    return this.#workerPids
  }

  /** Resolves when it serves. @throws Error when it ends instead, with what it said. */
  async start(): Promise<void> {
    const file = join(directory, `${this.name}.json`)
    writeFileSync(file, JSON.stringify(this.#config()))
    // env(1) takes off what tap gives to every child; a group of its own, so that workers are signalled with their primary.
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, program, 'serve', '--config', file], {
      env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'], detached: true,
    })
    const group = child.pid
    if (group === undefined) throw new Error('the program could not be started')
    groups.add(group)
    guardOf(child, group)
    this.#child = child
    this.#said = ''
    this.#workerPids = []
    child.stdout.setEncoding('utf8')
    let line = ''
    child.stdout.on('data', (text: string) => {
      const lines = (line + text).split('\n')
      line = lines.pop() ?? ''
      for (const one of lines) this.#read(one)
    })
    await new Promise<void>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
        this.#findWorkers()
        const ready = /^springhouse is ready\n\s+proxy\s+\S+:(\d+)\n\s+admin\s+\S+:(\d+)\n[^]*origin.*\n/m.exec(this.#said)
        if (ready === null || this.#up) return
        this.#proxyPort = Number(ready[1])
        this.#adminPort = Number(ready[2])
        this.#up = true
        resolve()
      })
      child.once('close', () => {
        groups.delete(group)
        if (this.#child === child) this.#up = false
        reject(new Error(`replica ${this.name} ended: ${this.#said}`))
      })
    })
  }

  #config(): object {
    const { origin, wire, workers, maxLagMs, keyPrefix } = this.#options
    return {
      proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 1000 },
      admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'check', token, scopes: ['read', 'purge'] }] },
      redis: { url: `redis://127.0.0.1:${wire.port}`, keyPrefix },
      origins: { api: { servers: [origin], timeouts: { headersMs: 10_000, idleMs: 10_000 } } },
      coherence: { maxLagMs, purgeWaitMs },
      cache: { memory: { maxBytes: '16MiB' } },
      workers,
      log: { level: 'error' },
    }
  }

  #read(line: string): void {
    if (!line.includes('an unsafe request succeeded')) return
    const { target } = JSON.parse(line) as { target: string }
    this.#options.notRecorded(target)
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

  /** Ends all of it at once, and waits until it has. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#up = false
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => { child.once('close', resolve) })
    signalGroup(child.pid, 'SIGKILL')
    await ended
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch {
    // It has ended.
  }
}

// 'exit' is not heard by a process that dies of a signal: this one waits for the end of its input, which is ours.
function guardOf(child: ChildProcess, group: number): void {
  const guard = spawn('sh', ['-c', 'cat >/dev/null; kill -9 -- -"$0"', String(group)], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  guard.unref()
  child.once('close', () => guard.kill('SIGKILL'))
}
