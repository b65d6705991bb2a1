// Compiles what has changed: `node tools/build.mjs dist` for the program, `test` for the tests (into .build), or both. Each has the
// admin page in its folder `page`, as browsers get it.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const compiler = join(root, 'node_modules/typescript/bin/tsc')

/** `base` is the folder that the paths in `output` are relative to. */
const targets = {
  dist: { output: 'dist', base: 'src', folders: ['src'], options: ['-p', 'tsconfig.build.json'], after: () => buildPage('dist/page') },
  test: { output: '.build', base: '.', folders: ['src', 'test', 'bench'], options: ['-p', 'tsconfig.json', '--noEmit', 'false', '--outDir', '.build'], after: equipTests },
}

/** The compiler's arguments for a target. Its notes on what it has compiled lie in the output, so that they go with it. */
export function compilerOptions(name) {
  const { output, options } = targets[name]
  return [compiler, ...options, '--incremental', '--tsBuildInfoFile', join(output, '.tsbuildinfo')]
}

/** Compiles `dist` or `test` unless nothing has changed since the last time. Returns false if the compiler finds an error. */
export function build(name) {
  const { output, after } = targets[name]
  const stamp = join(root, output, '.stamp')
  const now = stateOfSources(name)
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return true
  rmSync(stamp, { force: true })
  const { status } = spawnSync(process.execPath, compilerOptions(name), { cwd: root, stdio: 'inherit' })
  if (status !== 0) return false
  prune(name)
  if (!after()) return false
  writeFileSync(stamp, now)
  return true
}

/** A digest of each source's name, size and time: a source that is removed, or restored with an older time, changes it too. */
function stateOfSources(name) {
  const lines = [...sources(name)].map(([file, state]) => `${file} ${state}`)
  return createHash('sha256').update(lines.join('\n')).digest('hex')
}

/** Returns the sources of a target: each file with its size and time. */
export function sources(name) {
  const files = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'tools', ...targets[name].folders].flatMap(filesOf)
  return new Map(files.sort().map(file => [file, `${statSync(join(root, file)).size} ${statSync(join(root, file)).mtimeMs}`]))
}

/** The files at or below a path, relative to the root. A path that does not exist has none: images lack some. */
function filesOf(path) {
  const full = join(root, path)
  if (!existsSync(full)) return []
  if (!statSync(full).isDirectory()) return [path]
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile()).map(entry => relative(root, join(entry.parentPath, entry.name)))
}

/** Removes outputs without a source: a removed test must not run on. */
function prune(name) {
  const { output, base } = targets[name]
  for (const file of filesOf(output)) {
    if (relative(output, file).split('/').includes('page')) continue // `buildPage` makes it anew.
    const source = join(base, relative(output, file)).replace(/\.js(?:\.map)?$/, '.ts')
    if (source.endsWith('.ts') && !existsSync(join(root, source))) rmSync(join(root, file))
  }
}

/** The packages of the page: the file that browsers load, its name there, and the file with its licence. */
const pagePackages = {
  'preact.mjs': ['preact/dist/preact.mjs', 'preact/LICENSE'],
  'preact-hooks.mjs': ['preact/hooks/dist/hooks.mjs', 'preact/LICENSE'],
  'htm.mjs': ['htm/dist/htm.mjs', 'htm/LICENSE'],
  'uplot.mjs': ['uplot/dist/uPlot.iife.min.js', 'uplot/LICENSE'],
  'uplot.css': ['uplot/dist/uPlot.min.css', 'uplot/LICENSE'],
}

/** Compiles the admin page for browsers, and puts its style, its icon and its packages beside it, with their licences. */
function buildPage(output) {
  const folder = join(root, output)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'packages'), { recursive: true })
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'src/page/tsconfig.json', '--outDir', output], { cwd: root, stdio: 'inherit' })
  if (status !== 0) return false
  for (const name of ['style.css', 'icon.svg']) copyFileSync(join(root, 'src/page', name), join(folder, name))
  for (const [name, [file, licence]] of Object.entries(pagePackages)) {
    const text = readFileSync(join(root, 'node_modules', file), 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n')
    // uPlot's small form is a script; the page imports modules.
    writeFileSync(join(folder, 'packages', name), name === 'uplot.mjs' ? `${text}\nexport default uPlot\n` : text)
    cpSync(join(root, 'node_modules', licence), join(folder, 'packages', `${licence.split('/')[0]}.LICENSE`))
  }
  return true
}

/** Adds what compiled tests need: the version of the program, and their packages. */
function equipTests() {
  copyFileSync(join(root, 'package.json'), join(root, '.build/package.json'))
  if (!buildPage('.build/src/page')) return false
  return spawnSync(process.execPath, [join(root, 'tools/packages.mjs')], { cwd: root, stdio: 'inherit' }).status === 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const name of process.argv.slice(2)) if (!build(name)) process.exit(1)
}
