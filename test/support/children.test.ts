// No process outlives the test that started it. The guard in children.ts ends them after a signal. The listener for
// 'disconnect' in tools/deadline.mjs ends a test whose runner has ended. Without either, one of these tests never ends.
import { fork, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { eventually } from './log.ts'

const endings: Readonly<Record<string, (test: ChildProcess) => void>> = {
  'Ctrl-C': test => {
    test.kill('SIGINT')
  },
  'SIGTERM': test => {
    test.kill('SIGTERM')
  },
  'SIGKILL': test => {
    test.kill('SIGKILL')
  },
  'the end of its runner': test => {
    test.disconnect()
  },
}

/** False for a zombie: it has ended, even if its parent has not read its exit code. */
function lives(pid: number): boolean {
  const file = `/proc/${pid}/stat`
  if (existsSync('/proc/self/stat')) return existsSync(file) && !/\) [ZX] /.test(readFileSync(file, 'utf8'))
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

for (const [name, end] of Object.entries(endings)) {
  t.test(`no child, frozen or in a group, outlives a test that ends by ${name}`, async test => {
    const parent = fork(new URL('parent.js', import.meta.url), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    test.teardown(() => parent.kill('SIGKILL'))
    // tap sends messages of its own.
    const pids = await new Promise<number[]>(resolve => {
      parent.on('message', message => {
        if (Array.isArray(message)) resolve(message as number[])
      })
    })
    test.same(pids.map(lives), [true, true, true])
    end(parent)
    await eventually(() => !pids.some(lives))
    test.same(pids.map(lives), [false, false, false])
  })
}
