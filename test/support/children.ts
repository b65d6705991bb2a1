// Child processes that never outlive the test that starts them: not its end, not a failure, not a signal that kills it.
import { spawn, type ChildProcess } from 'node:child_process'

const groups = new Set<number>()
const plain = new Set<number>()
let guard: ChildProcess | undefined

process.on('exit', () => {
  for (const id of [...plain, ...[...groups].map(group => -group)]) {
    try {
      process.kill(id, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
})

/**
 * Binds a child to the life of this process. For a child started with `detached`, `group` ends its whole process group, so that
 * its own children end too.
 */
export function endWithUs(child: ChildProcess, { group = false } = {}): void {
  const { pid } = child
  if (pid === undefined) return
  const known = group ? groups : plain
  const id = group ? -pid : pid
  known.add(pid)
  tellGuard(`+ ${id}`)
  // Not 'exit': the members of a group may live longer than its first process, and keep its output open.
  child.once('close', () => {
    known.delete(pid)
    tellGuard(`- ${id}`)
  })
}

// A process that a signal kills emits no 'exit'. The guard waits for the end of its input, which is this process's. Then it
// ends all processes that it knows of and that have not ended, frozen or not.
const guarding = `
all=
while read -r sign id; do
  if [ "$sign" = + ]; then all="$all $id"; continue; fi
  kept=
  for each in $all; do [ "$each" = "$id" ] || kept="$kept $each"; done
  all=$kept
done
for each in $all; do kill -s KILL -- "$each" 2>/dev/null; done
`

function tellGuard(line: string): void {
  guard ??= startGuard()
  guard.stdin?.write(`${line}\n`)
}

// A session of its own: Ctrl-C at the terminal, which signals everything there, must leave the guard to do its work.
function startGuard(): ChildProcess {
  const started = spawn('sh', ['-c', guarding], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  started.unref()
  started.stdin.on('error', () => {})
  return started
}
