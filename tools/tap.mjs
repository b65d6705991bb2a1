// The module that compiled tests import as `tap`: tap itself, which tools/packages.mjs bundles, after deadline.mjs. Static,
// because an `await import` here would let a test start before its deadline is set.
import './deadline.mjs'

export * from './dist/esm/index.mjs'
export { default } from './dist/esm/index.mjs'
