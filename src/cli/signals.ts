// SIGUSR1 and SIGUSR2 have no effect. main.ts imports this first: until a listener exists, Node opens its inspector on SIGUSR1, through
// which any local program could run code here, and SIGUSR2 ends the process.
import { notice } from './notices.ts'

process.on('SIGUSR1', () => notice('info', 'SIGUSR1 has no effect: the log is on standard output, and the inspector needs node --inspect at the start', { signal: 'SIGUSR1' }))
process.on('SIGUSR2', () => notice('info', 'SIGUSR2 has no effect: to reload the configuration, send SIGHUP', { signal: 'SIGUSR2' }))
