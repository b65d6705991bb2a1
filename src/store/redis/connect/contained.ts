// Keeps errors that ioredis itself throws or rejects within the connection that they concern.
import { Cluster, Command, type Redis } from 'ioredis'
import DataHandler from 'ioredis/built/DataHandler.js'
import type { RedisClient } from './guarded-client.ts'

interface Reader {
  dispatch(run: () => void): void
  returnFatalError(error: Error): void
}

// A reply that is out of place makes ioredis throw a TypeError in the next tick, which would end the process. ioredis' own
// handling of bytes that are no reply fits these too: the calls fail, and the connection is made again. An exception of our
// own listeners is not from ioredis, and still ends the process.
const reader = DataHandler.default.prototype as unknown as Reader
reader.dispatch = function dispatch(this: Reader, run) {
  try {
    run()
  } catch (error) {
    if (!isOfIoredis(error))
      process.nextTick(() => {
        throw error
      })
    else this.returnFatalError(new Error('Protocol error: a reply that is out of place', { cause: error }))
  }
}

function isOfIoredis(error: unknown): boolean {
  const [frame = ''] = /^ {4}at .*$/m.exec(error instanceof Error ? error.stack ?? '' : '') ?? []
  return /[\\/]ioredis[\\/]built[\\/]/.test(frame)
}

// Callbacks of ioredis read these replies without checking them, and nothing catches what they throw.
Command.setReplyTransformer('info', (reply: unknown) => {
  if (typeof reply !== 'string') throw new Error('Protocol error: no reply to INFO')
  return reply
})
Command.setReplyTransformer('cluster', (reply: unknown) => {
  if (reply === null || reply === undefined || (Array.isArray(reply) && !reply.every((item) => typeof item === 'string' || isSlotRange(item))))
    throw new Error('Protocol error: no reply to CLUSTER')
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

/** Watches a new client: it connects to its configured server or not at all, and keeps trying until it is closed. */
export function contain(client: RedisClient): void {
  let closed = false
  const disconnect = client.disconnect.bind(client)
  client.disconnect = (reconnect = false) => {
    closed ||= !reconnect
    disconnect(reconnect)
  }
  // ioredis gives up if an address cannot even be tried, such as one that a Sentinel made up.
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
  // ioredis sends this before a command for a slot that is being moved, and ignores a refusal.
  const asking = node.asking.bind(node) as () => Promise<'OK'>
  node.asking = () => {
    const reply = asking()
    reply.catch(() => {})
    return reply
  }
}

// ioredis continues in database 0 if SELECT is refused, and with replies that belong to other calls. At the time of the
// error it has sent only the commands of its handshake, and it sends none on a connection that is closing.
function leaveWhenWrong(client: Redis): void {
  client.on('error', (error: Error & { command?: { name: string } }) => {
    if (error.command?.name === 'select' || error.message.startsWith('Command queue state error')) client.disconnect(true)
  })
}
