// What compiled tests import as `tap`: tap itself, told the deadline of this project before it starts. Without this, a file that
// is run directly has tap's 30 seconds, because only tap's runner reads package.json. tools/build.mjs copies it into .build.
import { readFileSync } from 'node:fs'

// From .build/node_modules/tap, where this runs.
const { tap: settings } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
process.env.TAP_TIMEOUT ??= String(settings.timeout)

// If the runner dies, its channel to this process closes: then this one must not run on by itself.
if (process.connected === false) process.exit(1) // It closed while this file was loaded.
process.once('disconnect', () => process.exit(1))
process.channel?.unref()

const tap = await import(new URL('../../../node_modules/tap/dist/esm/index.js', import.meta.url).href)
export const { t, test } = tap
export default tap.default
