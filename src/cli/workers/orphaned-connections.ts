// Connections that a worker was given and did not take: to another one, or closed where there is none.
import cluster, { type Worker } from 'node:cluster'

/** The socket of a connection, as node:cluster passes it on. */
interface Handle {
  close(): void
}

/** What a worker was given and has not answered yet. */
interface Given {
  /** node:cluster's name of the listener. */
  readonly key: string
  readonly handle: Handle
}

/** Who takes connections, by the key of the listener. */
const takers = new Map<string, Set<Worker>>()

/**
 * node:cluster hands a connection to a worker, and keeps it until that one says whether it has it. Twice it keeps one for
 * ever, and its client waits as long:
 *
 * - A worker that dies in between says nothing. So this says in its place, once nothing more can come from it, that it did
 *   not take them: then they are handed on.
 * - The last one that listened stops, and gives back what was on its way: nobody is left to hand it to. So this closes it.
 *
 * The words are node:cluster's own, which Node does not promise to keep. Where they were others, nothing would happen here,
 * and things would be as they are without it.
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
        else if ((message.errno ?? 0) === 0) starts(message.key, worker) // told where it listens now
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
  // 'close': it has ended, and all that it had to say has been heard. A connection that it had begun to read is not among
  // those left.
  process.once('close', () => {
    // The same word is waited for before a dead worker is taken out of the round.
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
