// The embedded store keeps the contract, and its bound.
import t from 'tap'
import { Sessions } from '../../src/session/sessions.ts'
import { MemorySessionStore } from '../../src/session/store/memory.ts'
import { manualClock } from '../support/manual-clock.ts'
import { patchOf, sessionStoreContract, settings } from './contract.ts'

sessionStoreContract('memory', async () => {
  const clock = manualClock()
  return { store: new MemorySessionStore({ clock, maxBytes: 10_000_000 }), pass: async ms => clock.advance(ms) }
})

t.test('memory is bounded: at the bound no session begins, none is evicted, and ended ones make room', async t => {
  const clock = manualClock()
  const store = new MemorySessionStore({ clock, maxBytes: 20_000 })
  const sessions = new Sessions(store, settings)
  let begun = 0
  for (;; begun++) {
    try {
      await sessions.begin('default', { patch: patchOf('{"a":1}'), mark: undefined })
    } catch (error) {
      t.match(error, { code: 'SESSION_NOT_WRITTEN' })
      break
    }
  }
  t.ok(begun > 10)
  t.equal(store.size, begun)
  t.ok(store.bytes <= 20_000)
  clock.advance(61_000)
  await sessions.begin('default', { patch: undefined, mark: undefined })
  t.equal(store.size, 1)
})
