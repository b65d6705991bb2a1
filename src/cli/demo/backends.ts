// Starts the demo's servers as processes, so that a demo can kill one.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Listening } from './backend.ts'

export interface RunningBackend {
  readonly name: string
  readonly url: string
  readonly pid: number
  /** Stops the process; resolves once it has ended. */
  stop(): Promise<void>
}

/**
 * Starts a demo server on a free loopback port.
 * @param died called if the process ends without `stop`
 * @throws Error if the process ends before it listens
 */
export async function startBackend(name: string, died: (signal: string) => void): Promise<RunningBackend> {
  const program = fileURLToPath(new URL('./backend.js', import.meta.url))
  // fork makes an IPC channel, which closes whenever this process ends, so that the child ends too.
  // Node's own arguments of this process (--inspect, a loader) are not passed on.
  const child = fork(program, ['--port', '0', '--name', name], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] })
  const { port } = await new Promise<Listening>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Listening))
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`demo server ${name} ended with ${code} before it listened`)))
  })
  let stopping = false
  child.once('exit', (code, signal) => {
    if (!stopping) died(signal ?? `exit code ${code}`)
  })
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    pid: child.pid as number,
    stop: () => {
      stopping = true
      return ended(child)
    },
  }
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}
