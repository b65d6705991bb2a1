// Servers out of Debian's packages, unpacked into a folder and run from there: nothing is installed.
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Package {
  /** The package that holds the server. */
  readonly name: string
  /** Path of the program in it. */
  readonly program: string
}

// The suites of a release later than this machine's: its packages come from the mirror that this machine uses.
const suites = ['trixie', 'trixie-backports']
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * Returns the path of a program of a later Debian release, which runs with the libraries of that release, from the folder
 * `cache`; it is fetched and unpacked if it is not there.
 * @throws Error with a line that says why it cannot be had.
 */
export async function unpacked({ name, program }: Package, cache: string): Promise<string> {
  const root = join(cache, name)
  const start = join(root, `start-${name}`)
  if (existsSync(start)) return start
  const fetching = `${root}.${process.pid}`
  try {
    mkdirSync(fetching, { recursive: true })
    await fetch(name, fetching)
    writeFileSync(join(fetching, `start-${name}`), startOf(program))
    chmodSync(join(fetching, `start-${name}`), 0o755)
    rmSync(root, { recursive: true, force: true })
    renameSync(fetching, root)
    return start
  } catch (error) {
    rmSync(fetching, { recursive: true, force: true })
    const { stderr = '', message = String(error) } = error as { stderr?: string; message?: string }
    throw new Error((stderr.split('\n').find(line => line.startsWith('E:')) ?? message).split('\n', 1)[0], { cause: error })
  }
}

async function fetch(name: string, folder: string): Promise<void> {
  const options = await ownConfiguration(join(folder, 'apt'))
  await run('apt-get', [...options, 'update', '-qq', '-o', 'APT::Update::Error-Mode=any'])
  const libraries = await librariesOf(name, options)
  const archives = join(folder, 'archives')
  mkdirSync(archives)
  await run('apt-get', [...options, 'download', '-qq', name, ...libraries], { cwd: archives })
  for (const archive of readdirSync(archives)) await run('dpkg-deb', ['-x', join(archives, archive), folder])
  rmSync(archives, { recursive: true })
  rmSync(join(folder, 'apt'), { recursive: true })
}

// An apt of one's own: its lists and its state lie in `folder`, and it knows of no package that is installed.
async function ownConfiguration(folder: string): Promise<string[]> {
  for (const each of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, each), { recursive: true })
  writeFileSync(join(folder, 'state/status'), '')
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'])
  // Security updates of the machine's own release come from another place, which has none of the suites.
  const mirror = stdout.split('\n').find(uri => uri !== '' && !uri.includes('security'))
  if (mirror === undefined) throw new Error('this machine has no Debian mirror configured')
  writeFileSync(join(folder, 'sources.list'), suites.map(suite => `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`).join(''))
  return [
    'Dir::Etc::SourceList=' + join(folder, 'sources.list'),
    'Dir::Etc::SourceParts=/dev/null',
    'Dir::Etc::Preferences=/dev/null',
    'Dir::Etc::PreferencesParts=/dev/null',
    'Dir::State=' + join(folder, 'state'),
    'Dir::State::status=' + join(folder, 'state/status'),
    'Dir::Cache=' + join(folder, 'cache'),
    'APT::Sandbox::User=root',
  ].flatMap(option => ['-o', option])
}

// The tools package holds the program itself. From all other packages only the libraries that it loads are needed.
async function librariesOf(name: string, options: readonly string[]): Promise<string[]> {
  const without = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(kind => `--no-${kind}`)
  const { stdout } = await run('apt-cache', [...options, 'depends', '--recurse', ...without, name])
  const names = stdout.split('\n').filter(line => /^(?:lib|lua)/.test(line) || /^\S+-tools$/.test(line))
  return [...new Set(names)]
}

// The program is loaded by the loader of its own release, which finds the libraries beside it.
function startOf(program: string): string {
  return `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
libraries=$(find "$here/usr/lib" "$here/lib" -maxdepth 2 -name '*.so*' -printf '%h\\n' 2>/dev/null | sort -u | tr '\\n' ':')
loader=$(find "$here" -name 'ld-linux*.so.*' | head -n 1)
exec "$loader" --library-path "$libraries" "$here${program}" "$@"
`
}
