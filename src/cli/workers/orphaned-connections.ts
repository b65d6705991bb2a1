// Connections that a worker did not accept: passed to another worker, or closed if there is none.
import cluster, { type Worker } from 'node:cluster'

/** The socket handle of a connection, as node:cluster passes it. */
interface Handle {
  close(): void
}

/** A connection that was sent to a worker and not acknowledged yet. */
interface Given {
  /** node:cluster's name of the listener. */
  readonly key: string
  readonly handle: Handle
}

/** The workers that accept connections, by the key of the listener. */
const takers = new Map<string, Set<Worker>>()

/**
 * Handles two gaps of node:cluster. It sends a connection to a worker and keeps it until the worker acknowledges it. In two cases it
 * would keep it for ever, and the client would wait as long:
 *
 * - If a worker dies before it acknowledges, this reports in its place, after its last message, that it did not accept its
 *   connections. node:cluster then passes them to another worker.
 * - If the last listening worker stops, it returns connections that were on their way, and no worker is left. This closes them.
 *
 * These are internal node:cluster messages. If Node changes them, this code has no effect.
 */
export function handOver(worker: Worker): void {
  const given = new Map<number, Given>()
  const { process } = worker
  const send = process.send.bind(process) as (...message: unknown[]) => boolean
  Object.defineProperty(process, 'send', {
    value: (...sent: unknown[]): boolean => {
      const [message, handle] = sent
      if (isWord(message) && typeof message.key === 'string') {
        if (message.act === 'newconn') given.set(message.seq as number, { key: message.key, handle: handle as Handle })
        else if ((message.errno ?? 0) === 0) starts(message.key, worker) // the worker listens now
      }
      return send(...sent)
    },
  })
  process.on('internalMessage', (message: unknown) => {
    if (!isWord(message)) return
    if (message.act === 'close' && typeof message.key === 'string') stops(message.key, worker)
    if (typeof message.ack !== 'number') return
    const answered = given.get(message.ack)
    given.delete(message.ack)
    if (answered !== undefined && message.accepted === false && !takers.has(answered.key)) answered.handle.close()
  })
  // 'close': the worker has ended and all its messages have been received, so an accepted connection is not among the rest.
  process.once('close', () => {
    // node:cluster waits for this event before it removes a dead worker from the rotation.
    if (cluster.workers?.[worker.id] !== undefined) process.emit('disconnect')
    for (const key of takers.keys()) stops(key, worker)
    for (const ack of given.keys()) process.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false })
  })
}

function starts(key: string, worker: Worker): void {
  const those = takers.get(key)
  if (those === undefined) takers.set(key, new Set([worker]))
  else those.add(worker)
}

function stops(key: string, worker: Worker): void {
  const those = takers.get(key)
  if (those?.delete(worker) === true && those.size === 0) takers.delete(key)
}

function isWord(message: unknown): message is Record<string, unknown> {
  return typeof message === 'object' && message !== null && 'cmd' in message && message.cmd === 'NODE_CLUSTER'
}
