// RFC 9110 §7.6.3, RFC 8586 §2: whether a message has passed this proxy before.
import t from 'tap'
import { cdnLoopPasses, viaPasses } from '../../src/forwarding/loop.ts'

const cdnLoops: readonly [line: string, passes: number][] = [
  ['', 0],
  ['springhouse', 1],
  ['foo123.foocdn.example, barcdn.example; trace="abcdef"', 0],
  ['a, SPRINGHOUSE ; b=c,\tspringhouse', 2],
  ['springhouse.example, springhouse:80, x;springhouse', 0],
  ['"unclosed, springhouse', 1],
]

t.test("members of CDN-Loop that are this proxy's", async t => {
  for (const [line, passes] of cdnLoops) t.equal(cdnLoopPasses(line, 'springhouse'), passes, line)
})

t.test('members of Via that name this proxy', async t => {
  for (const [line, passes] of [['1.1 springhouse', 1], ['HTTP/1.1 springhouse (x), 1.0 springhouse,1.1 other', 2], ['springhouse', 0], ['', 0]] as const) {
    t.equal(viaPasses(line, 'springhouse'), passes, line)
  }
})
