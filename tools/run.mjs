// Runs compiled test files, some at a time, and prints one line for each. tap's own runner spends as much CPU as many of the files do:
// it observes every process, and parses every assertion. A failed file is printed whole.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from './build.mjs'
import { withSources } from './positions.mjs'

const settings = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).tap
/** A file that does not end itself in this time is killed. tap ends each by its own deadline, if the event loop still turns. */
const killAfterMs = 1_200_000
const kinds = ['total', 'pass', 'fail', 'todo', 'skip']

/**
 * Runs files, given relative to the root; resolves to the exit code. More at once than there are processors, because most wait
 * for sockets and processes. `cpu` adds the CPU seconds of each file. `save` names a folder for what each file prints.
 */
export async function runFiles(files, { jobs = availableParallelism() + 1, cpu = false, save } = {}) {
  const totals = Object.fromEntries(kinds.map(kind => [kind, 0]))
  const failed = []
  const spent = []
  const running = new Set()
  const interrupted = new AbortController()
  const interrupt = signal => {
    interrupted.abort()
    for (const child of running) end(child, signal, cpu)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, interrupt)
  const queue = [...files]
  await Promise.all(Array.from({ length: jobs }, async () => {
    for (let file = queue.shift(); file !== undefined && !interrupted.signal.aborted; file = queue.shift()) {
      const { code, printed, seconds, cpuSeconds } = await runFile(file, running, cpu)
      const counts = countsOf(printed)
      // A file that ends without its summary has failed, whatever it printed before.
      if (counts === undefined || (code !== 0 && counts.fail === 0)) totals.fail++
      for (const kind of kinds) totals[kind] += counts?.[kind] ?? 0
      const passed = code === 0 && counts !== undefined
      const name = relative('.build', file).replace(/\.js$/, '')
      if (cpu) spent.push({ name, cpuSeconds })
      if (save !== undefined) write(join(save, `${name}.tap`), printed)
      if (!passed && !interrupted.signal.aborted) {
        failed.push(name)
        process.stdout.write(withSources(printed))
      }
      process.stdout.write(
        `${passed ? 'ok    ' : 'NOT OK'} ${name}  ${counts?.pass ?? 0} passed${counts?.fail > 0 ? `, ${counts.fail} failed` : ''}${
          counts?.skip > 0 ? `, ${counts.skip} skipped` : ''
        }, ${seconds.toFixed(1)} s${cpu ? `, ${cpuSeconds.toFixed(2)} CPU s` : ''}\n`,
      )
    }
  }))
  for (const signal of signals) process.off(signal, interrupt)
  if (failed.length > 0) process.stdout.write(`\nfailed:\n${failed.map(name => `  ${name}\n`).join('')}`)
  if (cpu) process.stdout.write(cpuTable(spent))
  process.stdout.write(`# { ${kinds.filter(kind => totals[kind] > 0).map(kind => `${kind}: ${totals[kind]}`).join(', ')} }\n`)
  return interrupted.signal.aborted ? 130 : failed.length > 0 ? 1 : 0
}

/** Runs one file. Its channel closes with this process, which ends it (tools/deadline.mjs). */
async function runFile(file, running, cpu) {
  const began = performance.now()
  const env = { ...process.env, TAP_TIMEOUT: String(settings.timeout) }
  const command = [process.execPath, join(root, file)]
  const [program, ...args] = cpu ? ['bash', '-c', measuring, 'bash', ...command] : command
  const child = spawn(program, args, { cwd: root, env, detached: cpu, stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...(cpu ? ['pipe'] : [])] })
  running.add(child)
  const timer = setTimeout(() => end(child, 'SIGKILL', cpu), killAfterMs)
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    printed += text
  })
  // Warnings and crashes are shown as they come, passed or not.
  child.stderr.setEncoding('utf8').on('data', text => process.stderr.write(withSources(text)))
  let times = ''
  child.stdio[4]?.setEncoding('utf8').on('data', text => {
    times += text
  })
  const code = await new Promise(resolve => {
    child.once('close', (exit, signal) => resolve(exit ?? signal))
  })
  clearTimeout(timer)
  running.delete(child)
  return { code, printed, seconds: (performance.now() - began) / 1000, cpuSeconds: cpuSecondsOf(times) }
}

/**
 * A shell that runs a test file and writes the CPU times of its children to descriptor 4. They include every descendant that its
 * own parent waited for.
 */
const measuring = '"$@" 4>&-; code=$?; times >&4; exit $code'

/** Signals a test file. A shell that measures it leads a process group of its own, so that the signal reaches both. */
function end(child, signal, group) {
  try {
    process.kill(group ? -child.pid : child.pid, signal)
  } catch {
    // It has ended.
  }
}

/** The sum of the second line that the shell's `times` writes: user and system time of its children, as `1m2.345s 0m0.678s`. */
function cpuSecondsOf(times) {
  const all = [...(times.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)]
  return all.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0)
}

/** The files by their CPU time, the dearest first, and the sum. */
function cpuTable(spent) {
  const lines = spent.sort((a, b) => b.cpuSeconds - a.cpuSeconds).map(({ name, cpuSeconds }) => `${cpuSeconds.toFixed(2).padStart(8)}  ${name}\n`)
  const total = spent.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
  return `\nCPU seconds, with child processes:\n${lines.join('')}${total.toFixed(2).padStart(8)}  in ${spent.length} files\n`
}

function write(file, text) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

/** The counts of tap's closing comment, `# { total: 9, pass: 8, skip: 1 }`, which leaves zeros out. */
function countsOf(printed) {
  const summary = /^# \{ (total: .*) \}$/m.exec(printed)?.[1]
  if (summary === undefined) return undefined
  const found = Object.fromEntries(summary.split(', ').map(each => each.split(': ')).map(([kind, count]) => [kind, Number(count)]))
  return Object.fromEntries(kinds.map(kind => [kind, found[kind] ?? 0]))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = process.argv.slice(2)
  process.exit(files.every(file => existsSync(join(root, file))) ? await runFiles(files) : 2)
}
