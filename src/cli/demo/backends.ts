// Starts the demo's servers as processes, so that a demo can kill one.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { KeysAt, Listening } from './backend.ts'

export interface RunningBackend {
  readonly name: string
  readonly url: string
  readonly pid: number
  /** Says where the proxy publishes its keys; resolves once the server knows. It may have ended, which is no failure. */
  useKeys(keysUrl: string): Promise<void>
  /** Stops the process; resolves once it has ended. */
  stop(): Promise<void>
}

/**
 * Starts a demo server on a free loopback port.
 * @param audience the name of the origin in the configuration of the proxy
 * @param died called if the process ends without `stop`
 * @throws Error if the process ends before it listens
 */
export async function startBackend(name: string, audience: string, died: (signal: string) => void): Promise<RunningBackend> {
  const program = fileURLToPath(new URL('./backend.js', import.meta.url))
  // fork makes an IPC channel, which closes whenever this process ends, so that the child ends too.
  // Node's own arguments of this process (--inspect, a loader) are not passed on.
  const child = fork(program, ['--port', '0', '--name', name, '--audience', audience], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] })
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
    useKeys: (keysUrl) =>
      new Promise((resolve) => {
        child.once('message', () => resolve())
        child.once('exit', () => resolve())
        child.send({ keysUrl } satisfies KeysAt, (error) => {
          if (error !== null) resolve()
        })
      }),
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
