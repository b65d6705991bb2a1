// The public cache tests: their place, their revision and their requirements, from npm or from a checkout.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Kind, Tests } from './judge.ts'

export interface Suite {
  readonly directory: string
  /** `http-cache-tests 0.4.5`, or of a checkout `http-cache-tests at bb49f1d`. */
  readonly revision: string
  /** The programs of the suite, from its directory, with the arguments that Node needs before them. */
  readonly server: readonly string[]
  readonly client: readonly string[]
  readonly tests: Tests
}

/** The suite of the npm package, which is installed beside this file when it is not there yet. */
export async function packagedSuite(here: string): Promise<Suite> {
  const directory = join(here, 'node_modules/http-cache-tests')
  if (!existsSync(directory)) {
    const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], { cwd: here, stdio: 'inherit' })
    if (status !== 0) throw new Error('the public cache tests could not be installed (npm ci in test/conformance)')
  }
  return suiteAt(directory)
}

/** @throws when there is no suite in the directory, or its dependencies are not installed there. */
export async function suiteAt(directory: string): Promise<Suite> {
  // Later revisions keep the runner of the tests in a directory of its own.
  const engine = ['test-engine', '.'].find(name => existsSync(join(directory, name, 'cli.mjs')))
  if (engine === undefined) throw new Error(`${directory} does not hold the public cache tests: neither test-engine/cli.mjs nor cli.mjs is there`)
  return {
    directory,
    revision: revisionOf(directory),
    server: [join(engine, 'server/server.mjs')],
    client: ['--no-warnings', ...undiciFirst(directory), join(engine, 'cli.mjs')],
    tests: await testsOf(directory, engine),
  }
}

interface Package {
  readonly name: string
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

function packageOf(directory: string): Package {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Package
}

function revisionOf(directory: string): string {
  const { name, version } = packageOf(directory)
  if (!existsSync(join(directory, '.git'))) return `${name} ${version}`
  const { status, stdout } = spawnSync('git', ['-C', directory, 'describe', '--always', '--dirty', '--abbrev=7', '--exclude', '*'], { encoding: 'utf8' })
  return status === 0 ? `${name} at ${stdout.trim()}` : `${name} ${version}`
}

/**
 * Later revisions give Node's fetch a dispatcher that undici 7 makes. The undici inside Node 20 and 22 refuses it ("invalid
 * onError method"), unless theirs was loaded first and is the one that both use.
 */
function undiciFirst(directory: string): string[] {
  const { dependencies, devDependencies } = packageOf(directory)
  if (!('undici' in { ...dependencies, ...devDependencies })) return []
  return ['--import', pathToFileURL(createRequire(join(directory, 'package.json')).resolve('undici')).href]
}

/** Every test that is not for browsers alone. */
async function testsOf(directory: string, engine: string): Promise<Tests> {
  interface Group {
    readonly tests: readonly { readonly id: string; readonly kind?: Kind; readonly browser_only?: boolean }[]
  }
  const load = async (file: string): Promise<unknown> => ((await import(pathToFileURL(join(directory, 'tests', file)).href)) as { default: unknown }).default
  const groups = [...(await load('index.mjs')) as Group[]]
  // Earlier ones add this group in their client.
  if (engine === '.' && existsSync(join(directory, 'tests/surrogate-control.mjs'))) groups.push(await load('surrogate-control.mjs') as Group)
  return new Map(groups.flatMap(({ tests }) => tests).filter(test => test.browser_only !== true).map(test => [test.id, test.kind ?? 'required']))
}
