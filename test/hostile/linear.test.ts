// Work grows in proportion to the input. Nothing here reads a clock: V8 counts the blocks that it runs.
import t from 'tap'
import { Blocks, blocksPerChar, blocksPerLine, lineAttacks } from './linear.ts'

// Before anything of src is loaded, which is why everything of it is imported where it is used.
const blocks = new Blocks('/.build/src/', '/test/hostile/linear.test.')

t.test('each reader of a text runs a bounded number of blocks for each character', async (t) => {
  const { readers } = await import('./reading.ts')
  for (const [name, read] of Object.entries(readers)) {
    const { most, over } = blocksPerChar(blocks, read, 1_000)
    // The busiest runs 22. A reader that scans all characters for each character runs 500 over one run of ten, so 50 or more
    // over all.
    t.ok(most < 40, `${name}: ${most.toFixed(1)} over ${over}`)
  }
})

t.test('each reader of lines runs a bounded number of blocks for each line', async (t) => {
  const { lineReaders } = await import('./reading.ts')
  for (const [name, read] of Object.entries(lineReaders)) {
    const { most, over } = blocksPerLine(blocks, read, 1_000)
    // The busiest reads each line's name several times over, and runs 200. A reader that scans all lines for each line would
    // run 1,000.
    t.ok(most < 400, `${name}: ${most.toFixed(1)} over ${over}`)
  }
})

t.test('the count of blocks finds work that grows faster', async (t) => {
  const rescans = (text: string): number => {
    let found = 0
    for (let i = 0; i < text.length; i++) if (text[i] === '<') { for (let j = i; j < text.length && text[j] !== '>'; j++) found++ }
    return found
  }
  t.ok(blocksPerChar(blocks, rescans, 1_000).most > 40)
  t.ok(blocksPerLine(blocks, (lines) => lines.map((name) => lines.filter((other) => other === name).length), 1_000, lineAttacks.slice(0, 1)).most > 400)
})

t.test('a message of very many parts does not exhaust the stack', async (t) => {
  blocks.close() // Counting makes this several times as slow.
  const { lineReaders, readers } = await import('./reading.ts')
  const lines = Array.from({ length: 200_000 }, (_, i) => [`x-${i}`, 'a']).flat()
  for (const name of ['forwardFields', 'admit absolute form', 'responseFields', 'clientFields', 'assessResponse with a lifetime'])
    t.doesNotThrow(() => lineReaders[name]?.(lines), name)
  t.doesNotThrow(() => readers['targetedDirectives']?.('a,'.repeat(200_000)), 'a directive that names many fields')
  t.doesNotThrow(() => readers['targetedDirectives']?.('max-age=1,'.repeat(200_000).slice(0, -1)), 'a directive that is said many times')
})
