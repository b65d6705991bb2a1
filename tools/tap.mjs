// The module that compiled tests import as `tap`: tap itself, after deadline.mjs. tools/build.mjs copies both into
// .build/node_modules/tap. Static, because an `await import` here would let the modules of tap's circle start in another order,
// in which they fail.
import './deadline.mjs'

export * from '../../../node_modules/tap/dist/esm/index.js'
export { default } from '../../../node_modules/tap/dist/esm/index.js'
