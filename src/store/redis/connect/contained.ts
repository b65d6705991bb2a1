// Keeps errors that ioredis throws or rejects by itself within the connection that they concern.
import { Cluster, Command, type Redis } from 'ioredis'
import DataHandler from 'ioredis/built/DataHandler.js'
import type { RedisClient } from './guarded-client.ts'

interface Reader {
  dispatch(run: () => void): void
  returnFatalError(error: Error): void
}

// A reply that is out of place makes ioredis throw a TypeError in the next tick, which would end the process. Its own
// end for bytes that are no reply is right for these too: the calls fail, and the connection is made again. An
// exception of one of our listeners is not its, and ends the process as ever.
const reader = DataHandler.default.prototype as unknown as Reader
reader.dispatch = function dispatch(this: Reader, run) {
  try {
    run()
  } catch (error) {
    if (!isOfIoredis(error)) process.nextTick(() => { throw error })
    else this.returnFatalError(new Error('Protocol error: a reply that is out of place', { cause: error }))
  }
}

function isOfIoredis(error: unknown): boolean {
  const [frame = ''] = /^ {4}at .*$/m.exec(error instanceof Error ? error.stack ?? '' : '') ?? []
  return /[\\/]ioredis[\\/]built[\\/]/.test(frame)
}

// Callbacks of ioredis take these replies apart without a look at them, and what they throw is caught by nobody.
Command.setReplyTransformer('info', (reply: unknown) => {
  if (typeof reply !== 'string') throw new Error('Protocol error: no reply to INFO')
  return reply
})
Command.setReplyTransformer('cluster', (reply: unknown) => {
  if (reply === null || reply === undefined || (Array.isArray(reply) && !reply.every((item) => typeof item === 'string' || isSlotRange(item)))) throw new Error('Protocol error: no reply to CLUSTER')
  return reply
})

const slots = 16_384

function isSlotRange(item: unknown): boolean {
  if (!Array.isArray(item)) return false
  const [from, to, ...nodes] = item as unknown[]
  return isBelow(from, slots) && isBelow(to, slots) && nodes.every((node) => Array.isArray(node) && isBelow(node[1], 65_536) && (node[0] === null || typeof node[0] === 'string'))
}

function isBelow(value: unknown, end: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < end
}

const connectAgainMs = 500

/** Watches a new client: it is connected to what it was told, or not at all, and goes on trying until it is closed. */
export function contain(client: RedisClient): void {
  let closed = false
  const disconnect = client.disconnect.bind(client)
  client.disconnect = (reconnect = false) => {
    closed ||= !reconnect
    disconnect(reconnect)
  }
  // ioredis gives up where an address cannot even be tried, such as one that a Sentinel made up.
  client.on('end', () => {
    setTimeout(() => {
      if (!closed && client.status === 'end') client.connect().catch(() => {})
    }, connectAgainMs).unref()
  })
  if (client instanceof Cluster) client.on('+node', containNode)
  else leaveWhenWrong(client)
}

function containNode(node: Redis): void {
  leaveWhenWrong(node)
  // Sent before a command that a slot on its way needs, by ioredis, which does not look whether it is refused.
  const asking = node.asking.bind(node) as () => Promise<'OK'>
  node.asking = () => {
    const reply = asking()
    reply.catch(() => {})
    return reply
  }
}

// ioredis goes on in database 0 where SELECT is refused, and with replies that answer other calls than it thinks. At the
// moment of the error it has sent no command but those of its handshake, and sends none on a connection that is closing.
function leaveWhenWrong(client: Redis): void {
  client.on('error', (error: Error & { command?: { name: string } }) => {
    if (error.command?.name === 'select' || error.message.startsWith('Command queue state error')) client.disconnect(true)
  })
}
