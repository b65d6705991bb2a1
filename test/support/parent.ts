// A test that never ends, with children of both kinds: one that is frozen, and a group. Forked by children.test.ts.
import { spawn } from 'node:child_process'
import 'tap'
import { endWithUs } from './children.ts'

const frozen = spawn('sleep', ['1000'], { stdio: 'ignore' })
endWithUs(frozen)
frozen.kill('SIGSTOP')
// The shell is the group's first process; its output names its child.
const group = spawn('sh', ['-c', 'sleep 1000 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'], detached: true })
endWithUs(group, { group: true })
group.stdout.once('data', (text: Buffer) => process.send?.([frozen.pid, group.pid, Number(text.toString())]))
setInterval(() => {}, 1000)
