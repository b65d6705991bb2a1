// Connections that were on their way to a worker when it died go to another one.
import cluster, { type Worker } from 'node:cluster'

/**
 * node:cluster hands a connection to a worker, and keeps it until that one says that it has it. Of a worker that dies in
 * between it waits for the word for ever, and so does the client. So this says in its place, once nothing more can come
 * from it, that it did not take them: then they are handed on.
 *
 * The words are node:cluster's own, which Node does not promise to keep. Where they were others, nothing would happen here,
 * and things would be as they are without it.
 */
export function handOver(worker: Worker): void {
  const given = new Set<number>()
  const { process } = worker
  const send = process.send.bind(process) as (...message: unknown[]) => boolean
  Object.defineProperty(process, 'send', {
    value: (...message: unknown[]): boolean => {
      const number = numberOf(message[0], 'seq')
      if (number !== undefined && (message[0] as { act?: unknown }).act === 'newconn') given.add(number)
      return send(...message)
    },
  })
  process.on('internalMessage', (message: unknown) => {
    const number = numberOf(message, 'ack')
    if (number !== undefined) given.delete(number)
  })
  // 'close': it has ended, and all that it had to say has been heard. A connection that it had begun to read is not among
  // those left.
  process.once('close', () => {
    // The same word is waited for before a dead worker is taken out of the round.
    if (cluster.workers?.[worker.id] !== undefined) process.emit('disconnect')
    for (const ack of given) process.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false })
    given.clear()
  })
}

function numberOf(message: unknown, name: 'seq' | 'ack'): number | undefined {
  if (typeof message !== 'object' || message === null || !('cmd' in message) || message.cmd !== 'NODE_CLUSTER') return undefined
  const value: unknown = (message as Record<string, unknown>)[name]
  return typeof value === 'number' ? value : undefined
}
