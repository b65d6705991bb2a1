// Waits for edits of the sources: calls back with the names of the files that changed, once a moment has passed without another.
import { sources } from './build.mjs'

const lookEveryMs = 300

/** Compares the times of the files, because watching folders is unreliable over shares and with editors that replace files. */
export async function onEdits(target, changed) {
  let known = sources(target)
  let pending = new Set()
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, lookEveryMs))
    const now = sources(target)
    const edited = [...new Set([...known.keys(), ...now.keys()])].filter(file => known.get(file) !== now.get(file))
    known = now
    for (const file of edited) pending.add(file)
    if (edited.length > 0 || pending.size === 0) continue
    const files = [...pending]
    pending = new Set()
    await changed(files)
  }
}
