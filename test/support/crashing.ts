// The program, and two errors that nobody catches: SIGUSR2 throws in a timer, SIGWINCH rejects. For tests; the product has no such door.
process.on('SIGUSR2', () =>
  setTimeout(function inATimer() {
    throw new Error('thrown in a timer')
  }))
process.on('SIGWINCH', () => {
  void Promise.reject(new Error('rejected, and nobody listens'))
})
await import('../../src/cli/main.ts')
