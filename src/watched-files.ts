// Files that may be renewed while the program runs: calls when they have changed and stay as they are.
import { statSync } from 'node:fs'

/** The time between two checks. Links are followed: Kubernetes and certbot replace a link, not a file. */
const everyMs = 1_000

/** A watch that can be stopped. */
export interface FileWatch {
  stop(): void
}

/**
 * Calls `changed` once the files differ from those before, and two checks in a row found them alike: a certificate and its key are
 * written one after the other. The timer keeps no process alive.
 * @param files called at each check, because a reload may name other files
 */
export function watchFiles(files: () => readonly string[], changed: () => void): FileWatch {
  let settled = stateOf(files())
  let last = settled
  const timer = setInterval(() => {
    const now = stateOf(files())
    const isStable = now === last
    last = now
    if (!isStable || now === settled) return
    settled = now
    changed()
  }, everyMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

function stateOf(files: readonly string[]): string {
  return files.map((file) => {
    const found = statSync(file, { throwIfNoEntry: false })
    return found === undefined ? 'none' : `${found.dev} ${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`
  }).join('\n')
}
