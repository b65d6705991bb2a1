// Runs a page as a reader does: writes its files, pastes its commands in their order, and compares what they print.
//
// - A block with a language and a name (```yaml springhouse.yaml) is a file.
// - A `sh` block is pasted. Its info `background` means another terminal: the server there runs on until the page starts it again.
// - A block without a language after it shows lines of what is printed, in their order; `…` stands for any text.
// - A `…` in a command stands for the admin token that the last server printed.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freePort } from '../cli/command.ts'
import { endWithUs } from '../support/children.ts'
import { blocksOf, page, root, type Block } from './blocks.ts'
import { accepts, endGroup } from '../support/programs.ts'

// tools/packages.mjs bundles the program.
const program = fileURLToPath(new URL('../../program/cli/main.js', import.meta.url))

/** The ports that pages name: proxy, admin, and two backends. */
const ports = ['8080', '8081', '3000', '3001'] as const

export async function runPage(t: Test, path: string, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const reader = new Reader(t, new Map(await Promise.all(ports.map(async (port): Promise<[string, string]> => [port, String(await freePort())]))), env)
  let printed = ''
  for (const block of blocksOf(page(path))) {
    const where = `${path}:${block.line}`
    if (block.info === 'background') printed = await reader.serve(block, where)
    else if (block.language === 'sh') printed = await reader.paste(block, where)
    else if (block.language === '') t.equal(missingLine(block.text, printed), undefined, `${where}: its lines are printed`)
    else if (block.info !== '') reader.write(block)
  }
  await reader.end()
}

/** Returns the first line that is not printed after the lines before it, with what was printed; undefined if all are. */
export function missingLine(expected: string, printed: string): string | undefined {
  let rest = printed.split('\n').map(oneSpaced)
  for (const line of expected.split('\n').filter(each => each.trim() !== '')) {
    const pattern = new RegExp(`^${oneSpaced(line).split('…').map(part => part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)).join('.*')}$`)
    const at = rest.findIndex(each => pattern.test(each))
    if (at < 0) return `${line}\nis not in:\n${printed}`
    rest = rest.slice(at + 1)
  }
  return undefined
}

/** Columns are as wide as their contents. */
function oneSpaced(line: string): string {
  return line.replaceAll(/\s+/g, ' ').trim()
}

class Reader {
  readonly #t: Test
  readonly #ports: ReadonlyMap<string, string>
  readonly #folder: string
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #servers = new Map<'proxy' | 'backend', ChildProcess>()
  #exports = ''
  #token = ''

  constructor(t: Test, mapped: ReadonlyMap<string, string>, env: Readonly<Record<string, string>>) {
    this.#t = t
    this.#ports = mapped
    this.#folder = t.testdir({ bin: {} })
    this.#command('springhouse', `exec '${process.execPath}' '${program}' "$@"`)
    writeFileSync(join(this.#folder, '.curlrc'), 'silent\nshow-error\n') // The output is no terminal.
    this.#command('npx', 'exec "$@"')
    // `npm start -- FLAGS`; the packages are installed.
    this.#command('npm', '[ "$1" = ci ] || { shift 2; exec springhouse serve "$@"; }')
    const own = Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$|^SPRINGHOUSE_|^TAP/i.test(name))
    this.#env = { ...Object.fromEntries(own), PATH: `${this.#folder}/bin:${dirname(process.execPath)}:${process.env['PATH']}`, NODE_PATH: `${root}node_modules`,
      CURL_HOME: this.#folder, SPRINGHOUSE_PROXY_HOST: '127.0.0.1', SPRINGHOUSE_PROXY_PORT: mapped.get('8080'), SPRINGHOUSE_ADMIN_PORT: mapped.get('8081'),
      SPRINGHOUSE_PROXY_SHUTDOWN_DELAY_MS: '0', SPRINGHOUSE_ADMIN: `http://127.0.0.1:${mapped.get('8081')}`, ...env }
  }

  #command(name: string, line: string): void {
    writeFileSync(join(this.#folder, 'bin', name), `#!/bin/sh\n${line}\n`)
    chmodSync(join(this.#folder, 'bin', name), 0o755)
  }

  /** The text with the ports of this run, or back. */
  #here(text: string): string {
    return [...this.#ports].reduce((changed, [port, own]) => changed.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), own), text)
  }

  #there(text: string): string {
    return [...this.#ports].reduce((changed, [port, own]) => changed.replaceAll(new RegExp(`\\b${own}\\b`, 'g'), port), text)
  }

  write({ info, text }: Block): void {
    const file = join(this.#folder, info)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, this.#here(text))
  }

  /** Runs the commands of a block to their end; they must succeed. */
  async paste({ text }: Block, where: string): Promise<string> {
    const child = this.#shell(`set -e\n${this.#exports}${text}`)
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (more: string) => (printed += more))
    const [code] = (await once(child, 'close')) as [number | null]
    this.#t.equal(code, 0, `${where}: its commands succeed${code === 0 ? '' : `\n${text}${printed}`}`)
    this.#exports += text.split('\n').filter(line => line.startsWith('export ')).map(line => `${line}\n`).join('')
    return this.#there(printed)
  }

  /** Starts the server of a block, in place of the one of its kind that runs; returns what it has printed once it serves. */
  async serve({ text }: Block, where: string): Promise<string> {
    const kind = /springhouse serve|npm start/.test(text) ? 'proxy' : 'backend'
    const before = this.#servers.get(kind)
    if (before !== undefined) await endGroup(before)
    const child = this.#shell(`${this.#exports}${text}`)
    this.#servers.set(kind, child)
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (more: string) => (printed += more))
    const serves = async (): Promise<boolean> => (kind === 'proxy' ? /^ {2}origin /m.test(printed) : accepts(Number(this.#ports.get('3000'))))
    while (!(await serves())) {
      if (child.exitCode !== null) throw new Error(`${where} ended: ${text}${printed}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    this.#token = /^admin token \(made for this run\): (\S+)$/m.exec(printed)?.[1] ?? this.#token
    return this.#there(printed)
  }

  #shell(text: string): ChildProcess {
    const child = spawn('bash', ['-c', this.#here(text.replaceAll('…', this.#token))], { cwd: this.#folder, env: this.#env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    endWithUs(child, { group: true })
    return child
  }

  async end(): Promise<void> {
    for (const child of this.#servers.values()) await endGroup(child)
  }
}
