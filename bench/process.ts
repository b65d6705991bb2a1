// Processes for the benchmarks: each on the core it belongs to, none left behind.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

export function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0
}

/** True if processes are kept on cores of their own; without it the numbers say less. */
export const pinned = hasProgram('taskset') && cpus().length > 1
/** The contestants share one core, and take turns on it; the generator and the origin share the other. */
export const serverCore = 0
export const generatorCore = 1

function onCore(core: number, program: string, args: readonly string[]): [string, string[]] {
  return pinned ? ['taskset', ['-c', String(core), program, ...args]] : [program, [...args]]
}

/** Puts a process that runs already on a core. */
export function pin(pid: number, core: number): void {
  if (pinned) spawnSync('taskset', ['-cp', String(core), String(pid)])
}

/** Returns the standard output of a program. @throws Error when it exits with anything but 0. */
export async function outputOf(program: string, args: readonly string[], core: number): Promise<string> {
  const child = spawn(...onCore(core, program, args), { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${output}`)
  return output
}

const children = new Set<ChildProcess>()

function killAll(): void {
  for (const child of children) child.kill('SIGKILL')
}

process.once('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/**
 * Starts a server and waits until `url` responds; resolves to its process id.
 * @throws Error when it ends, or does not respond within ten seconds; the message shows its output.
 */
export async function startServer(
  program: string,
  args: readonly string[],
  options: { url: string; core: number; env?: Readonly<Record<string, string>> },
): Promise<number> {
  const child = spawn(...onCore(options.core, program, args), { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env } })
  children.add(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    // Read for as long as it lives: a full pipe would stop it. Only the beginning is kept.
    stream.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 4000) said += text
    })
  }
  for (let tries = 0; tries < 200; tries++) {
    const answered = await fetch(options.url).then(async (response) => {
      await response.arrayBuffer()
      return true
    }, () => false)
    if (answered) return child.pid as number // taskset becomes the program that it starts
    if (child.exitCode !== null) break
    await delay(50)
  }
  throw new Error(`${[program, ...args].join(' ')} did not start:\n${said}`)
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
