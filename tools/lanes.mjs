// The lanes of the tests, by what each file imports: `node tools/lanes.mjs fast` runs one, `… list` shows which file is in which.
// `--cpu` prints the CPU seconds of each file; `--save=DIR` writes what each prints into a folder.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, root } from './build.mjs'
import { runFiles } from './run.mjs'

const tests = join(root, 'test')

/** The first that fits is a file's lane. Each names what a file reaches by its imports, within test/ alone. */
const lanes = {
  // Failovers, lost connections, floods of faults over time.
  chaos: ['test/coherence/fleet.ts', 'test/soak/soak.ts', 'test/support/trouble.ts', 'test/support/steady-load.ts', 'test/support/redis-cluster.ts',
    'test/support/redis-sentinel.ts', 'test/support/redis-errors.ts'],
  redis: ['test/support/redis.ts'],
  // The program, or another one, as a process of its own.
  process: ['node:child_process'],
  fast: [],
}

// A mark that was renamed would empty its lane into the next.
for (const mark of Object.values(lanes).flat()) {
  if (mark.startsWith('test/') && !existsSync(join(root, mark))) throw new Error(`tools/lanes.mjs names ${mark}, which does not exist`)
}

export const laneNames = Object.keys(lanes)

/** Every test file, relative to the root. */
export function testFiles() {
  return readdirSync(tests, { recursive: true }).filter(name => name.endsWith('.test.ts')).map(name => join('test', name)).sort()
}

/** The lane of a test file. */
export function laneOf(file) {
  const reached = reaches(file)
  return laneNames.find(name => lanes[name].length === 0 || lanes[name].some(mark => reached.has(mark)))
}

/** Returns the files that a file imports, directly or not. The imports of src do not decide a lane, and are followed only if `within` says so. */
export function reaches(file, within = 'test/') {
  const found = new Set([file])
  for (const each of found) {
    if (each.startsWith(within) && existsSync(join(root, each))) { for (const name of importsOf(each)) found.add(name) }
  }
  return found
}

/** Files relative to the root, and packages by name. Types are erased, so an import of types alone does not count. */
export function importsOf(file) {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/^(?:import|export)(?! type )[^'"]*?\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm)]
    .map(match => match[1] ?? match[2] ?? match[3])
    .map(name => (name.startsWith('.') ? relative(root, resolve(root, dirname(file), name)) : name))
}

/** `test/http/target.test.ts`, `http/target` or the compiled file, as the file of the source. */
export function sourceOf(name) {
  const file = relative(root, resolve(root, name)).replace(/^\.build\//, '').replace(/\.js$/, '.ts')
  return [file, `${file}.test.ts`, `test/${file}`, `test/${file}.test.ts`].find(each => each.endsWith('.test.ts') && existsSync(join(root, each)))
}

export function compiled(file) {
  return join('.build', file.replace(/\.ts$/, '.js'))
}

async function main([lane = 'list', ...flags]) {
  if (lane === 'list') {
    for (const file of testFiles()) process.stdout.write(`${laneOf(file)}\t${file}\n`)
    return 0
  }
  const files = lane === 'file' ? flags.filter(each => !each.startsWith('-')) : []
  const found = lane === 'file' ? files.map(name => sourceOf(name) ?? name) : testFiles().filter(file => lane === 'all' || laneOf(file) === lane)
  const missing = found.filter(file => !existsSync(join(root, file)))
  if (missing.length > 0 || found.length === 0) {
    process.stderr.write(`${missing.length > 0 ? `no such test file: ${missing.join(', ')}` : `no test is in the lane ${lane}; lanes are ${laneNames.join(', ')}`}\n`)
    return 2
  }
  if (!build('dist') || !build('test') || !prepare(found)) return 1
  const save = flags.find(flag => flag.startsWith('--save='))?.slice('--save='.length)
  return await runFiles(found.map(compiled), { cpu: flags.includes('--cpu'), save })
}

/** Makes sure that there is a Redis, if one of these files starts one. */
export function prepare(files) {
  if (!files.some(file => reaches(file).has('test/support/redis.ts'))) return true
  return spawnSync('bash', ['test/support/ensure-redis.sh'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(await main(process.argv.slice(2)))
