// Compiles the library that shifts clocks, if there is a compiler.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// Compiled, this is .build/test/coherence/clocks/library.js; the source of the library stays where it is.
const source = fileURLToPath(new URL('../../../../test/coherence/clocks/shift.c', import.meta.url))
const compilers = ['cc', 'gcc', 'clang']

export type ClockLibrary = { readonly path: string } | { readonly missing: string }

let built: ClockLibrary | undefined

/** The compiled library, or the reason why there is none. Compiled once per process, and removed at its end. */
export function clockLibrary(): ClockLibrary {
  return built ??= build()
}

function build(): ClockLibrary {
  if (process.platform !== 'linux') return { missing: 'clocks are shifted on Linux only' }
  const directory = mkdtempSync(join(tmpdir(), 'springhouse-clocks-library-'))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'shift.so')
  for (const compiler of compilers) {
    const { status, error, stderr } = spawnSync(compiler, ['-O2', '-shared', '-fPIC', '-o', path, source, '-ldl'], { encoding: 'utf8' })
    if (error !== undefined) continue
    return status === 0 ? { path } : { missing: `${compiler} does not compile test/coherence/clocks/shift.c: ${stderr.trim().split('\n')[0]}` }
  }
  return { missing: `none of ${compilers.join(', ')} is on PATH` }
}
