// The troubles with clocks are real: Node and Redis read the times that the check sets, while they run.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import t from 'tap'
import { endWithUs } from '../../support/children.ts'
import { startRedis } from '../../support/redis.ts'
import { ShiftedClock } from './clock.ts'
import { clockLibrary } from './library.ts'

const library = clockLibrary()
const skip = 'missing' in library ? library.missing : false
const hourMs = 3_600_000
// Between two reads of clocks in two processes: longer than any machine pauses, and much shorter than a step.
const patienceMs = 60_000

interface Read {
  readonly wallMs: number
  readonly performanceMs: number
  readonly hrtimeMs: number
  /** True if a monotonic clock ever went back. */
  readonly wentBack: boolean
}

const program = `
let last = process.hrtime.bigint(), wentBack = false
const look = () => {
  for (let i = 0; i < 1000; i++) { const now = process.hrtime.bigint(); if (now < last) wentBack = true; last = now }
}
setInterval(look, 1)
process.stdin.on('data', () => console.log(JSON.stringify({ wallMs: Date.now(), performanceMs: performance.now(), hrtimeMs: Number(process.hrtime.bigint()) / 1e6, wentBack })))
process.stdin.on('end', () => process.exit())
`

void t.test('a process of Node reads the clocks that are set for it, and its monotonic clocks never go back', { skip }, async (test) => {
  const clock = new ShiftedClock('path' in library ? library.path : '')
  const child = spawn(process.execPath, ['-e', program], { env: { ...clock.env }, stdio: ['pipe', 'pipe', 'inherit'] })
  endWithUs(child)
  test.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const read = async (): Promise<Read> => {
    child.stdin.write('\n')
    return JSON.parse(String((await lines.next()).value)) as Read
  }
  const trueMs = (): number => Number(process.hrtime.bigint()) / 1e6
  const first = await read()
  test.ok(Math.abs(first.wallMs - Date.now()) < patienceMs)

  for (const step of [hourMs, -2 * hourMs]) {
    clock.stepWall(step)
    const now = await read()
    test.ok(Math.abs(now.wallMs - Date.now() - clock.wallAheadMs) < patienceMs, `the wall clock is ${clock.wallAheadMs / hourMs} h ahead`)
    test.ok(Math.abs(now.hrtimeMs - trueMs()) < patienceMs, 'and the monotonic clock is as it was')
  }
  clock.setRight()

  // Stopped, and then resumed as if no time had passed: an hour counts as the short time that it really was.
  const before = await read()
  const [beganMs, beganWallMs] = [trueMs(), Date.now()]
  child.kill('SIGSTOP')
  await new Promise((resolve) => {
    setTimeout(resolve, 50)
  })
  const fromNs = process.hrtime.bigint()
  await new Promise((resolve) => {
    setTimeout(resolve, 3000)
  })
  clock.suspended(process.hrtime.bigint() - fromNs)
  child.kill('SIGCONT')
  const after = await read()
  const reallyMs = trueMs() - beganMs
  test.ok(after.hrtimeMs - before.hrtimeMs <= reallyMs - 2990, 'process.hrtime stood still')
  test.ok(after.performanceMs - before.performanceMs <= reallyMs - 2990, 'performance.now stood still')
  test.ok(after.wallMs - before.wallMs >= 3000 && after.wallMs - beganWallMs >= 3000, 'Date.now went on')

  for (const rate of [50_000, -50_000]) {
    const from = await read()
    const fromMs = trueMs()
    clock.drift(rate)
    await new Promise((resolve) => {
      setTimeout(resolve, 200)
    })
    const to = await read()
    const gained = to.hrtimeMs - from.hrtimeMs - (trueMs() - fromMs)
    test.ok(rate > 0 ? gained > -patienceMs : gained < 0, `a clock at ${rate} parts in a million`)
  }
  clock.setRight()
  test.notOk((await read()).wentBack)
})

void t.test('Redis reads the clock that is set for it: TIME, ids of records, and the end of keys', { skip }, async (test) => {
  const clock = new ShiftedClock('path' in library ? library.path : '')
  const server = await startRedis({ env: clock.env })
  const redis = new Redis(server.url)
  test.teardown(async () => {
    redis.disconnect()
    await server.stop()
  })
  const ahead = async (): Promise<number> => Number((await redis.time())[0]) * 1000 - Date.now()
  test.ok(Math.abs(await ahead()) < patienceMs)
  await redis.set('short', 'x', 'PX', hourMs / 2)
  await redis.set('long', 'x', 'PX', hourMs * 3)
  clock.stepWall(hourMs)
  test.ok(Math.abs(await ahead() - hourMs) < patienceMs, 'TIME')
  const id = await redis.xadd('log', '*', 'a', 'b') as string
  test.ok(Math.abs(Number(id.split('-')[0]) - Date.now() - hourMs) < patienceMs, 'the id of a record')
  test.same([await redis.get('short'), await redis.get('long')], [null, 'x'], 'a key ends with the clock')
  clock.setRight()
  test.ok(Math.abs(await ahead()) < patienceMs)
  test.equal((await redis.xadd('log', '*', 'a', 'b') as string).split('-')[0], id.split('-')[0], 'ids go on from the last one')
})
