// `npm run dev`: the demo, built and started again after each edit of src. If an edit does not compile, the demo runs on.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { build, root } from './build.mjs'
import { onEdits } from './edits.mjs'

let demo

function start() {
  demo = spawn(process.execPath, ['dist/cli/main.js', 'demo'], { cwd: root, stdio: 'inherit' })
}

async function stop() {
  if (demo === undefined || demo.exitCode !== null || demo.signalCode !== null) return
  const ended = once(demo, 'exit')
  demo.kill('SIGTERM')
  await ended
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => void stop().finally(() => process.exit(0)))
}

if (build('dist')) start()
await onEdits('dist', async files => {
  process.stdout.write(`\nedited: ${files.join(', ')}\n`)
  if (!build('dist')) return
  await stop()
  start()
})
