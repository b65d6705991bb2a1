// Bundles each package that the tests and the program in .build import into one file, in .build/node_modules. Node reads and
// compiles several hundred small files otherwise, in each of some four hundred processes of a test run: most of the CPU time of a
// short one. The code stays that of the package. `dist` imports the packages as they are installed.
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from './build.mjs'

const compiled = join(root, '.build')
const output = join(compiled, 'node_modules')
const stamp = join(output, '.stamp')

/** The import specifiers of packages in the compiled files, such as `fastify` and `ioredis/built/DataHandler.js`. */
function importedPackages() {
  const found = new Set()
  for (const folder of ['src', 'test', 'bench']) {
    for (const name of readdirSync(join(compiled, folder), { recursive: true })) {
      if (!name.endsWith('.js')) continue
      const text = readFileSync(join(compiled, folder, name), 'utf8')
      for (const [, imported] of text.matchAll(/^(?:import|export)\b[^'"]*\bfrom '([^'.][^':]*)'/gm)) found.add(imported)
      for (const [, imported] of text.matchAll(/\bimport\('([^'.][^':]*)'\)/g)) found.add(imported)
    }
  }
  return [...found].filter(name => existsSync(join(root, 'node_modules', packageOf(name)))).sort()
}

function packageOf(specifier) {
  return specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}

/** The file of a specifier in the output, without its extension. */
function fileOf(specifier) {
  const rest = specifier.slice(packageOf(specifier).length + 1).replace(/\.js$/, '')
  return `${packageOf(specifier)}/${rest === '' ? 'index' : rest}`
}

/** A module that exports what Node's import of a package gives. Named exports of CommonJS are found by Node's own lexer. */
async function entryOf(specifier) {
  const names = Object.keys(await import(specifier)).filter(name => name !== 'module.exports')
  return `export { ${names.join(', ')} } from '${specifier}'\n`
}

async function bundle(specifiers) {
  const { build } = await import('esbuild')
  const entries = new Map(await Promise.all(specifiers.map(async specifier => [specifier, await entryOf(specifier)])))
  await build({
    entryPoints: specifiers.map(specifier => ({ in: `entry:${specifier}.mjs`, out: fileOf(specifier) })),
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
        plugin.onLoad({ filter: /./, namespace: 'entry' }, ({ path }) => ({ contents: entries.get(path.replace(/\.mjs$/, '')), resolveDir: root }))
      },
    }],
  })
  for (const name of new Set(specifiers.map(packageOf))) {
    const exported = specifiers.filter(specifier => packageOf(specifier) === name)
      .map(specifier => [`.${specifier.slice(name.length)}`, `.${fileOf(specifier).slice(name.length)}.mjs`])
    writeFileSync(join(output, name, 'package.json'), JSON.stringify({ name, type: 'module', exports: Object.fromEntries(exported) }))
  }
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
