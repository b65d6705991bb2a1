// The sink of lines over real pipes and files: lines stay whole and in order, and each is written or counted.
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { heldBytes, LineSink } from '../../src/log/sink.ts'
import { eventually } from '../support/log.ts'

const folder = t.testdir()
const report = (lost: number): string => `lost ${lost}\n`

function pipe(t: Test, name: string): { sink: LineSink; read(most: number): string } {
  const path = `${folder}/${name}`
  execFileSync('mkfifo', [path])
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  t.teardown(() => {
    closeSync(fd)
    closeSync(readEnd)
  })
  const buffer = Buffer.alloc(1 << 20)
  return {
    sink: new LineSink({ fd, isFile: false }, report),
    read(most) {
      try {
        return buffer.toString('utf8', 0, readSync(readEnd, buffer, 0, most, null))
      } catch {
        return '' // EAGAIN
      }
    },
  }
}

t.test('lines that are appended and lines that are written come in the order in which they were given', async (t) => {
  const file = `${t.testdir()}/log`
  const fd = openSync(file, 'a')
  t.teardown(() => closeSync(fd))
  const sink = new LineSink({ fd, isFile: true }, report)
  sink.append('1\n')
  sink.append('2\n')
  t.equal(readFileSync(file, 'utf8'), '', 'one write a turn')
  sink.write('3\n')
  t.equal(readFileSync(file, 'utf8'), '1\n2\n3\n')
  sink.append('4\n')
  await new Promise(setImmediate)
  t.equal(readFileSync(file, 'utf8'), '1\n2\n3\n4\n')
  sink.append('5\n')
  sink.end()
  t.equal(readFileSync(file, 'utf8'), '1\n2\n3\n4\n5\n')
  const long = 'x'.repeat(40_000)
  for (let line = 0; line < 4; line++) sink.append(`${long}\n`)
  t.equal(readFileSync(file, 'utf8').length, 10 + 3 * 40_001, 'more than there is room for does not wait for the turn')
  sink.end()
  t.equal(readFileSync(file, 'utf8').length, 10 + 4 * 40_001)
})

t.test('a line that is longer than all the room is dropped alone, and reported at once', (t) => {
  const file = `${t.testdir()}/log`
  const fd = openSync(file, 'a')
  t.teardown(() => closeSync(fd))
  const sink = new LineSink({ fd, isFile: true }, report)
  sink.append('before\n')
  sink.write(`${'é'.repeat(heldBytes / 2)}\n`)
  sink.write('after\n')
  t.equal(readFileSync(file, 'utf8'), 'before\nlost 1\nafter\n')
  t.equal(sink.dropped, 1)
  t.end()
})

t.test('however a pipe is read, each line comes whole and in order, or is counted and reported where it is missing', async (t) => {
  let round = 0
  await fc.assert(fc.asyncProperty(
    fc.array(fc.oneof(
      fc.record({ write: fc.boolean(), length: fc.integer({ min: 1, max: 9_000 }), times: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ read: fc.integer({ min: 1, max: 200_000 }) }),
    ), { maxLength: 60 }),
    async (steps) => {
      const { sink, read } = pipe(t, `pipe-${round++}`)
      let given = 0
      let text = ''
      for (const step of steps) {
        if ('read' in step) {
          text += read(step.read)
          await new Promise(setImmediate)
          continue
        }
        for (let n = 0; n < step.times; n++) {
          const line = `${given++} ${'x'.repeat(step.length)}.\n`
          if (step.write) sink.write(line)
          else sink.append(line)
        }
      }
      // The number of the next line, were each line that is there the next one.
      const reached = (): number => {
        let next = 0
        for (const line of text.split('\n').slice(0, -1)) {
          const [, lost] = /^lost (\d+)$/.exec(line) ?? []
          if (lost !== undefined) next += Number(lost)
          else if (line.endsWith('.') && Number(line.split(' ')[0]) === next) next++
          else return Number.NaN
        }
        return next
      }
      await eventually(() => {
        text += read(1 << 20)
        return Number.isNaN(reached()) || reached() === given
      })
      return reached() === given
    },
  ), { numRuns: 40 })
})
