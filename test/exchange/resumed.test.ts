// A body that goes on elsewhere once its store has lost it: in a shared fetch, or in a fetch of its own.
import t from 'tap'
import { ResumedBody, type Continuation } from '../../src/exchange/deliver/resumed-body.ts'
import type { OriginExchange } from '../../src/origin/origin.ts'
import { BodyGone, FellBehind, type Stored } from '../../src/store/store.ts'
import { metadata } from '../support/metadata.ts'

const text = 'abcdefghij'

/** A stored response whose reader gets these bytes, and then an error if there is one. */
function stored(bytes: string, error?: Error, bodyBytes = text.length): Stored {
  return {
    meta: { ...metadata(), bodyBytes },
    body: {
      bytes: undefined,
      read: async function* read(start, end) {
        const wanted = Buffer.from(bytes.slice(start, end))
        for (let at = 0; at < wanted.length; at += 3) yield wanted.subarray(at, at + 3)
        if (error !== undefined && end > bytes.length) throw error
      },
    },
  }
}

interface Rest {
  readonly shared: Stored | 'alone' | 'gone'
  /** The body that the origin sends to this reader alone. */
  readonly alone?: string
}

/** Returns the bytes that a client receives, if it has `had` when the store has lost the rest. */
async function received({ shared, alone = text }: Rest, had = 'abcd'): Promise<string> {
  const lost = stored(had, new BodyGone('lost'))
  let fetched = 0
  const continuation: Continuation = {
    shared: async () => shared,
    alone: sink => {
      fetched++
      queueMicrotask(() => {
        sink.onHead(lost.meta.status, [...lost.meta.fields, 'content-length', String(alone.length)], false)
        sink.onData(Buffer.from(alone.slice(0, 5)))
        sink.onData(Buffer.from(alone.slice(5)))
        sink.onEnd([])
      })
      return { abort: () => {}, pause: () => {}, resume: () => {} } as unknown as OriginExchange
    },
  }
  let got = ''
  try {
    for await (const chunk of new ResumedBody(lost, continuation).read(0, text.length)) got += chunk.toString()
  } catch (error) {
    if (!(error instanceof BodyGone)) throw error
    got += ' (cut)'
  }
  return `${got}${fetched > 0 ? `, ${fetched} fetched` : ''}`
}

t.test('it goes on in the shared fetch, if that begins with the same bytes and is as long', async t => {
  t.equal(await received({ shared: stored(text) }), text)
  t.equal(await received({ shared: stored(text) }, 'abc'), text)
  t.equal(await received({ shared: stored('abcXefghij') }), 'abcd (cut)')
  t.equal(await received({ shared: stored('abcdefg') }), 'abcdefg (cut)')
  t.equal(await received({ shared: stored('abc', undefined, 3) }), 'abcd (cut)')
  t.equal(await received({ shared: 'gone' }), 'abcd (cut)')
})

t.test('a fetch that breaks off again is not tried a third time; a reader that is too slow for it fetches for itself', async t => {
  t.equal(await received({ shared: stored('abcdefg', new BodyGone('broken')) }), 'abcdefg (cut)')
  t.equal(await received({ shared: stored('abcdefg', new FellBehind('too slow')) }), 'abcdefghij, 1 fetched')
  t.equal(await received({ shared: stored('ab', new FellBehind('too slow')) }), 'abcdefghij, 1 fetched')
  t.equal(await received({ shared: stored('abcdefg', new FellBehind('too slow')), alone: 'abcdefGhij' }), 'abcdefg (cut), 1 fetched')
  t.equal(await received({ shared: 'alone' }), 'abcdefghij, 1 fetched')
})

t.test('a body of which nothing was sent is a miss, and is not continued', async t => {
  t.equal(await received({ shared: stored(text) }, ''), ' (cut)')
})
