// The module that compiled tests import as `tap`: tap itself (index.mjs, which tools/packages.mjs bundles), after deadline.mjs. Static,
// because an `await import` here would let a test start before its deadline is set.
import './deadline.mjs'

export * from './index.mjs'
export { default } from './index.mjs'
