// Bundles each package that the tests and the program in .build import into one file, in .build/node_modules, and the program with
// its packages, in .build/program. Node reads and compiles several hundred small files otherwise, in each of some four hundred
// processes of a test run: most of the CPU time of a short one. The code stays that of the package. `dist` imports the packages as
// they are installed.
import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from './build.mjs'

const compiled = join(root, '.build')
const output = join(compiled, 'node_modules')
const stamp = join(output, '.stamp')
const program = join(compiled, 'program')

/** Packages that read files of their own beside their code. Few tests need them. */
const asInstalled = new Set(['playwright-core', '@seriousme/openapi-schema-validator'])

/** The import specifiers of packages in the compiled files, such as `fastify` and `ioredis/built/DataHandler.js`. */
function importedPackages() {
  const found = new Set()
  for (const folder of ['src', 'test', 'bench']) {
    for (const name of readdirSync(join(compiled, folder), { recursive: true })) {
      if (!name.endsWith('.js') || name.startsWith('page/')) continue // The page's packages are for browsers.
      const text = readFileSync(join(compiled, folder, name), 'utf8')
      for (const [, imported] of text.matchAll(/^(?:import|export)\b[^'"]*\bfrom '([^'.][^':]*)'/gm)) found.add(imported)
      for (const [, imported] of text.matchAll(/\bimport\('([^'.][^':]*)'\)/g)) found.add(imported)
    }
  }
  return [...found].filter(name => !asInstalled.has(packageOf(name)) && existsSync(join(root, 'node_modules', packageOf(name)))).sort()
}

function packageOf(specifier) {
  return specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}

/** Where a specifier's file is within its package, without its extension. */
function placeOf(specifier) {
  const folder = `/node_modules/${packageOf(specifier)}/`
  const path = fileURLToPath(import.meta.resolve(specifier))
  return path.slice(path.lastIndexOf(folder) + folder.length).replace(/\.[cm]?js$/, '')
}

/** The names that Node's import of a module gives. Node's own lexer finds those of CommonJS. */
async function namesOf(specifier) {
  return Object.keys(await import(specifier)).filter(name => name !== 'module.exports')
}

/**
 * A bundle for each package. It lies in the folder of the package's own file, because the program finds errors of ioredis by the path
 * of their frames. Files of a package that are imported by their own names are part of its bundle, and files beside it name them.
 */
async function bundle(specifiers) {
  const { build } = await import('esbuild')
  const names = new Map(await Promise.all(specifiers.map(async specifier => [specifier, await namesOf(specifier)])))
  const packages = specifiers.filter(specifier => packageOf(specifier) === specifier)
  const partsOf = name => specifiers.filter(specifier => specifier.startsWith(`${name}/`))
  const entryOf = name => [`export { ${names.get(name).join(', ')} } from '${name}'`, ...partsOf(name).map((part, i) => `export * as part${i} from '${part}'`)].join('\n')
  await build({
    entryPoints: packages.map(name => ({ in: `entry:${name}.mjs`, out: `${name}/${placeOf(name)}` })),
    outdir: output,
    outExtension: { '.js': '.mjs' },
    chunkNames: '.shared/[hash]',
    bundle: true,
    splitting: true, // A package that several import, such as undici, stays one instance.
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
    // CommonJS modules in the bundle require Node's own modules.
    banner: { js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url), __dirname = import.meta.dirname;" },
    plugins: [{
      name: 'entries',
      setup(plugin) {
        // `.mjs`: then esbuild gives the default export of a CommonJS module as Node does.
        plugin.onResolve({ filter: /^entry:/ }, ({ path }) => ({ path: path.slice('entry:'.length), namespace: 'entry' }))
        plugin.onLoad({ filter: /./, namespace: 'entry' }, ({ path }) => ({ contents: entryOf(path.replace(/\.mjs$/, '')), resolveDir: root }))
      },
    }],
  })
  for (const name of packages) {
    const main = `./${placeOf(name)}.mjs`
    const exported = { '.': main }
    partsOf(name).forEach((part, i) => {
      const file = `./${placeOf(part)}.mjs`
      const given = names.get(part).map(each => (each === 'default' ? `export default part${i}.default` : `export const ${each} = part${i}.${each}`))
      mkdirSync(dirname(join(output, name, file)), { recursive: true })
      writeFileSync(join(output, name, file), `import { part${i} } from '${name}'\n${given.join('\n')}\n`)
      exported[`.${part.slice(name.length)}`] = file
    })
    writeFileSync(join(output, name, 'package.json'), JSON.stringify({ name, type: 'module', exports: exported }))
  }
}

/**
 * The program as one file with its packages, for tests that start it as a process: half the CPU time of a start is the loading of its
 * own modules and packages. The others are programs of tests, around parts of it. The demo forks a file beside
 * its own, so it is started from .build/src, as is a program that a test edits.
 */
async function bundleProgram() {
  const { build } = await import('esbuild')
  rmSync(program, { recursive: true, force: true })
  mkdirSync(program, { recursive: true })
  copyFileSync(join(root, 'package.json'), join(program, 'package.json'))
  cpSync(join(compiled, 'src/page'), join(program, 'page'), { recursive: true })
  await build({
    entryPoints: {
      'cli/main': 'src/cli/main.js',
      'cli/crashing': 'test/support/crashing.js',
      'cli/giving-back': 'test/support/giving-back.js',
      'cli/hosted': 'test/support/hosted.js',
    },
    absWorkingDir: compiled,
    outdir: program,
    chunkNames: 'cli/[name]-[hash]',
    bundle: true,
    external: ['ioredis'], // See `bundle`.
    splitting: true, // A start loads Redis, YAML and the demo only if it needs them.
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  })
}

/** tap after this project's deadline: compiled tests import both as `tap`. */
function equipTap() {
  for (const name of ['tap.mjs', 'deadline.mjs']) copyFileSync(join(root, 'tools', name), join(output, 'tap', name))
  writeFileSync(join(output, 'tap/package.json'), JSON.stringify({ name: 'tap', type: 'module', exports: './tap.mjs' }))
}

const specifiers = importedPackages()
const now = createHash('sha256').update(JSON.stringify([process.version, specifiers])).update(readFileSync(join(root, 'package-lock.json')))
  .update(readFileSync(fileURLToPath(import.meta.url))).digest('hex')
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== now) {
  rmSync(output, { recursive: true, force: true })
  mkdirSync(output, { recursive: true })
  await bundle(specifiers)
  writeFileSync(stamp, now)
}
equipTap()
await bundleProgram()
