// A program of examples/ behind the real proxy, both started by the lines of examples/README.md.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freePort } from '../cli/command.ts'
import { endWithUs } from '../support/children.ts'
import { accepts, endGroup } from '../support/programs.ts'

// Compiled, this is .build/test/examples/example.js. tools/packages.mjs bundles the program.
const root = fileURLToPath(new URL('../../../', import.meta.url))
const program = fileURLToPath(new URL('../../program/cli/main.js', import.meta.url))

/** The commands of the page, in their order. */
export const commands = [...readFileSync(`${root}/examples/README.md`, 'utf8').matchAll(/^```sh\n([^]*?)^```$/gm)]
  .flatMap(([, block = '']) => block.trim().split('\n'))

/** Returns the only command that begins so. */
export function command(text: string): string {
  const found = commands.filter(line => line.startsWith(text))
  if (found.length !== 1) throw new Error(`examples/README.md has ${found.length} commands that begin with ${text}`)
  return found[0] as string
}

/** Returns undefined if a program can be started here, else a sentence that names it. */
export function missing(name: string, args: readonly string[]): string | undefined {
  return spawnSync(name, args, { stdio: 'ignore' }).status === 0 ? undefined : `${name} is not there, so its example is not run`
}

export interface Place {
  readonly proxyPort: number
  readonly backendPort: number
}

/** Starts the proxy and the backend. They end with the test. @param env for both */
export async function startExample(t: Test, proxy: string, backend: string, env: Readonly<Record<string, string>>): Promise<Place> {
  const backendPort = await freePort()
  const at = (line: string): string => line.replaceAll('127.0.0.1:3000', `127.0.0.1:${backendPort}`)
  const served = start(t, `${at(proxy).replace('npx springhouse', `'${process.execPath}' '${program}'`)} --host 127.0.0.1 --port 0 --admin-port 0`, env)
  const proxyPort = Number((await served.prints(/^\s+proxy\s+http:\S+:(\d+)$/m))[1])
  const started = start(t, at(backend), { ...env, PORT: String(backendPort), SESSION_KEYS_URL: `http://127.0.0.1:${proxyPort}/.well-known/springhouse/jwks.json` })
  await started.listens(backendPort)
  return { proxyPort, backendPort }
}

interface Started {
  /** Returns the first match on standard error, now or later. @throws Error if the process ends without one */
  prints(pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves once something listens there. @throws Error if the process ends before */
  listens(port: number): Promise<void>
}

/** Starts a line of the page in a shell, in the root of the repository. */
function start(t: Test, line: string, env: Readonly<Record<string, string>>): Started {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$|^SPRINGHOUSE_|^TAP/i.test(name)))
  // A group of its own: `go run` starts the program as its child.
  const child = spawn('sh', ['-c', line], { cwd: root, detached: true, stdio: ['ignore', 'ignore', 'pipe'],
    env: { SPRINGHOUSE_PROXY_SHUTDOWN_DELAY_MS: '0', GOCACHE: `${root}.build/go`, ...own, ...env } })
  endWithUs(child, { group: true })
  t.teardown(() => endGroup(child))
  let printed = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const mustLive = (): void => {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${line}\nended: ${printed}`)
  }
  return {
    prints: async (pattern) => {
      for (;;) {
        const found = pattern.exec(printed)
        if (found !== null) return found
        mustLive()
        await Promise.race([once(child.stderr, 'data'), once(child, 'close')])
      }
    },
    listens: async (port) => {
      while (!(await accepts(port))) {
        mustLive()
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    },
  }
}
