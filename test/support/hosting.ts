// Starts replicas one after another in one process beside the test (hosted.ts), each with its own configuration and its own log.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endWithUs } from './children.ts'

export type Requested = { readonly start: string } | { readonly stop: true }
export type Reported = { readonly proxyUrl: string; readonly adminUrl: string } | { readonly stopped: true }

/** The last line in the log of each replica. */
export const lastLine = 'the replica has stopped'

// Compiled, this is .build/test/support/hosting.js. tools/packages.mjs bundles the program.
const program = new URL('../../program/cli/hosted.js', import.meta.url).pathname

/** A process that hosts a replica at a time. */
export class Host {
  readonly #child: ChildProcess
  readonly #directory = mkdtempSync(join(tmpdir(), 'springhouse-hosted-'))
  readonly #ended: Promise<number | NodeJS.Signals>
  #stdout = ''
  #stderr = ''
  #wake = (): void => {}

  constructor() {
    process.once('exit', () => rmSync(this.#directory, { recursive: true, force: true }))
    // env(1) removes the variables that tap gives to every child.
    this.#child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, program], { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    endWithUs(this.#child)
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#wake()
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        resolve(code ?? signal ?? 0)
        this.#wake()
      })
    })
  }

  /** Starts a replica. @throws Error if the process ends instead. */
  async start(config: object): Promise<{ readonly port: number; readonly adminPort: number }> {
    const file = join(this.#directory, 'springhouse.json')
    writeFileSync(file, JSON.stringify(config))
    const { proxyUrl, adminUrl } = await this.#request({ start: file }) as { proxyUrl: string; adminUrl: string }
    return { port: Number(new URL(proxyUrl).port), adminPort: Number(new URL(adminUrl).port) }
  }

  /** Stops it. Returns what it wrote since its start. @throws Error if the process ends instead. */
  async stop(): Promise<{ readonly stdout: string; readonly stderr: string }> {
    await this.#request({ stop: true })
    while (!this.#stdout.includes(lastLine)) {
      if (this.#hasEnded) throw this.#failure
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const said = { stdout: this.#stdout, stderr: this.#stderr }
    this.#stdout = ''
    this.#stderr = ''
    return said
  }

  /** Ends the process. Resolves to its exit code, or the signal that ended it. */
  async end(): Promise<number | NodeJS.Signals> {
    this.#child.kill('SIGTERM')
    return await this.#ended
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  get #failure(): Error {
    return new Error(`the process has ended: ${this.#stderr}${this.#stdout.slice(-2000)}`)
  }

  async #request(requested: Requested): Promise<Reported> {
    const reported = once(this.#child, 'message') as Promise<[Reported]>
    if (this.#hasEnded) throw this.#failure
    this.#child.send(requested)
    const first = await Promise.race([reported, this.#ended])
    if (!Array.isArray(first)) throw this.#failure
    return first[0]
  }
}
