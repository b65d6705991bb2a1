// A real Redis Cluster of the test's own: three masters with a replica each, on loopback.
import { Redis } from 'ioredis'
import { eventually } from './log.ts'
import { startRedis, type RedisServer } from './redis.ts'

export interface ClusterNode {
  readonly server: RedisServer
  /** A connection to this node alone, which follows no redirection. */
  readonly raw: Redis
  /** The name that the cluster knows it by. */
  readonly id: string
}

export interface RedisCluster {
  readonly nodes: readonly ClusterNode[]
  /** host:port of each. */
  readonly addresses: readonly string[]
  /** The nodes that own slots, as those that live see it. */
  masters(): Promise<ClusterNode[]>
  /** Returns the node that owns the slot of a key. */
  ownerOf(key: string): Promise<ClusterNode>
  replicaOf(master: ClusterNode): Promise<ClusterNode>
  /** Fails over to a replica in the orderly way: the master hands over. */
  failOver(master: ClusterNode): Promise<ClusterNode>
  /** Moves a slot with its keys, one key at a time; `between` is waited for before each key, and before the slot changes hands. */
  moveSlot(key: string, to: ClusterNode, between?: () => Promise<void>): Promise<void>
  /** True if every slot is served, and every live node is in its place and has the same view. */
  settled(): Promise<boolean>
  stop(): Promise<void>
}

// How long a node is silent before the others take it for dead. Short: tests wait for it.
const nodeTimeoutMs = 1000
const masters = 3
const size = 2 * masters

export async function startCluster(args: readonly string[] = []): Promise<RedisCluster> {
  const servers = await Promise.all(Array.from({ length: size }, () =>
    startRedis({
      args: [
        '--cluster-enabled',
        'yes',
        '--cluster-announce-ip',
        '127.0.0.1',
        '--cluster-node-timeout',
        String(nodeTimeoutMs),
        // A replica that was disconnected for long may take over all the same: the tests disconnect them.
        '--cluster-replica-validity-factor',
        '0',
        '--repl-diskless-sync-delay',
        '0',
        '--repl-ping-replica-period',
        '1',
        ...args,
      ],
    })))
  const nodes = await Promise.all(servers.map(async (server): Promise<ClusterNode> => {
    const raw = new Redis(server.port, server.host, { retryStrategy: () => 50, maxRetriesPerRequest: 0, commandTimeout: 2000 })
    raw.on('error', () => {})
    return { server, raw, id: String(await raw.cluster('MYID')) }
  }))
  await form(nodes)

  const live = (): ClusterNode[] => nodes.filter(({ server }) => server.pid !== undefined)
  const byId = (id: unknown): ClusterNode => nodes.find((node) => node.id === String(id)) as ClusterNode
  /** The cluster as one of its nodes describes it: a line for each, see CLUSTER NODES. */
  const described = async (): Promise<string[][]> => {
    for (const { raw } of live()) {
      try {
        return String(await raw.cluster('NODES')).trim().split('\n').map((line) => line.split(' '))
      } catch {
        // This one hangs, or is on its way back.
      }
    }
    throw new Error('no node of the cluster responds')
  }
  const owners = async (): Promise<ClusterNode[]> =>
    (await described()).filter(([, , flags = '', , , , , , ...slots]) => /master/.test(flags) && !/fail/.test(flags) && slots.length > 0).map(([id]) => byId(id))
  const slotOf = async (key: string): Promise<number> => Number(await (live()[0] as ClusterNode).raw.cluster('KEYSLOT', key))
  const cluster: RedisCluster = {
    nodes,
    addresses: nodes.map(({ server }) => `${server.host}:${server.port}`),
    masters: owners,
    ownerOf: async (key) => {
      const slot = await slotOf(key)
      for (const [id, , flags = '', , , , , , ...ranges] of await described()) {
        const owns = ranges.some((range) => {
          const [from = '', to = from] = range.split('-')
          return slot >= Number(from) && slot <= Number(to)
        })
        if (owns && /master/.test(flags)) return byId(id)
      }
      throw new Error(`nobody owns slot ${slot}`)
    },
    replicaOf: async (master) => {
      // After a failover it takes a moment until the new master of each replica is known.
      const follower = async (): Promise<ClusterNode | undefined> => {
        const [id] = (await described()).find(([, , flags = '', of]) => of === master.id && !/fail/.test(flags)) ?? []
        return id === undefined ? undefined : byId(id)
      }
      await eventually(async () => await follower() !== undefined)
      return await follower() as ClusterNode
    },
    failOver: async (master) => {
      const replica = await cluster.replicaOf(master)
      await replica.raw.cluster('FAILOVER')
      await eventually(async () => (await owners()).includes(replica) && await cluster.settled())
      return replica
    },
    moveSlot: async (key, to, between = async () => {}) => {
      const slot = await slotOf(key)
      const from = await cluster.ownerOf(key)
      await to.raw.cluster('SETSLOT', slot, 'IMPORTING', from.id)
      await from.raw.cluster('SETSLOT', slot, 'MIGRATING', to.id)
      for (;;) {
        const [name] = await from.raw.callBuffer('CLUSTER', ['GETKEYSINSLOT', slot, 1]) as Buffer[]
        await between()
        if (name === undefined) break
        await from.raw.call('MIGRATE', [to.server.host, to.server.port, name, 0, 5000])
      }
      // First the new owner, then the old one, then the other nodes: so a client always finds a node that serves the slot.
      for (const node of [to, from, ...await owners()]) await node.raw.cluster('SETSLOT', slot, 'NODE', to.id)
    },
    settled: async () => {
      const views = new Set<string>()
      for (const { raw } of live()) {
        try {
          if (!String(await raw.cluster('INFO')).includes('cluster_state:ok')) return false
          views.add(ownersIn(String(await raw.cluster('NODES'))))
          const replication = await raw.info('replication')
          if (/role:slave/.test(replication) && !/master_link_status:up/.test(replication)) return false
        } catch {
          return false
        }
      }
      return views.size === 1 && (await owners()).length === masters
    },
    stop: async () => {
      for (const { raw } of nodes) raw.disconnect()
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
  await eventually(() => cluster.settled())
  // Errors during the setup do not count.
  for (const { raw } of nodes) await raw.config('RESETSTAT')
  return cluster
}

// Returns the owners of the slots, as a node sees them.
function ownersIn(described: string): string {
  return described.trim().split('\n').map((line) => line.split(' ')).map(([id, , , , , , , , ...slots]) => `${id} ${slots.join(' ')}`).sort().join('\n')
}

// Does the work of `redis-cli --cluster create`, without its waiting.
async function form(nodes: readonly ClusterNode[]): Promise<void> {
  const [first] = nodes as [ClusterNode, ...ClusterNode[]]
  await Promise.all(nodes.map(async ({ raw }, i) => {
    await raw.cluster('SET-CONFIG-EPOCH', i + 1)
    if (i < masters) await raw.call('CLUSTER', 'ADDSLOTSRANGE', Math.ceil(16_384 * i / masters), Math.ceil(16_384 * (i + 1) / masters) - 1)
  }))
  // The bus has a port of its own, which follows from the other.
  for (const { raw } of nodes.slice(1)) await raw.cluster('MEET', first.server.host, first.server.port)
  await eventually(async () => (await Promise.all(nodes.map(async ({ raw }) => /cluster_known_nodes:6\b/.test(String(await raw.cluster('INFO')))))).every(Boolean))
  await Promise.all(nodes.slice(masters).map(async ({ raw }, i) => {
    const master = nodes[i] as ClusterNode
    await eventually(async () => await raw.cluster('REPLICATE', master.id).then(() => true, () => false))
  }))
}
