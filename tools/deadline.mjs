// Runs in each test before tap does: gives it the deadline of this project, and the life of its runner. Without the first, a file
// that is run directly has tap's 30 seconds, because only a runner reads package.json.
import { readFileSync } from 'node:fs'

// From .build/node_modules/tap, where this runs.
const { tap } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
process.env.TAP_TIMEOUT ??= String(tap.timeout)

// If the runner dies, its channel to this process closes: then this one must not run on by itself.
if (process.connected === false) process.exit(1) // It closed while this file was loaded.
process.once('disconnect', () => process.exit(1))
process.channel?.unref()
