// A real master with a replica, and three Sentinels that watch them, on loopback.
import { Redis } from 'ioredis'
import { eventually } from './log.ts'
import { startRedis, type RedisServer } from './redis.ts'

export interface WatchedRedis {
  /** The name that the Sentinels know the master by. */
  readonly name: string
  /** The first is the master at the start. */
  readonly servers: readonly [RedisServer, RedisServer]
  /** host:port of each Sentinel. */
  readonly sentinels: readonly string[]
  /** The port that the Sentinels name, where two of them agree. */
  masterPort(): Promise<number | undefined>
  stop(): Promise<void>
}

export interface WatchedRedisOptions {
  /** For the servers; the Sentinels themselves have another. */
  readonly password?: string
  readonly sentinelPassword?: string
}

const name = 'cache'
const quorum = 2

export async function startWatchedRedis({ password, sentinelPassword }: WatchedRedisOptions = {}): Promise<WatchedRedis> {
  const secret = password === undefined ? [] : ['--requirepass', password, '--masterauth', password]
  const args = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', ...secret]
  const master = await startRedis({ args })
  const replica = await startRedis({ args: [...args, '--replicaof', `${master.host} ${master.port}`] })
  const watcher = [
    `sentinel monitor ${name} ${master.host} ${master.port} ${quorum}`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 3000`,
    ...(password === undefined ? [] : [`sentinel auth-pass ${name} "${password}"`]),
    ...(sentinelPassword === undefined ? [] : [`requirepass "${sentinelPassword}"`, `sentinel sentinel-pass "${sentinelPassword}"`]),
  ].join('\n')
  const watchers = await Promise.all(Array.from({ length: 3 }, () => startRedis({ sentinel: watcher })))
  const raws = watchers.map(({ host, port }) =>
    new Redis(port, host, { retryStrategy: () => 50, commandTimeout: 2000, enableReadyCheck: false, ...(sentinelPassword !== undefined && { password: sentinelPassword }) })
  )
  for (const raw of raws) raw.on('error', () => {})
  const asked = async (...command: string[]): Promise<string[]> => await Promise.all(raws.map(async (raw) => String(await raw.call('SENTINEL', command).catch(() => ''))))
  // Until each knows the other two and the replica, a failover could not be agreed upon.
  await eventually(async () => (await asked('master', name)).every((told) => /num-slaves,1,/.test(told) && /num-other-sentinels,2,/.test(told)))
  const watched: WatchedRedis = {
    name,
    servers: [master, replica],
    sentinels: watchers.map(({ host, port }) => `${host}:${port}`),
    masterPort: async () => {
      const ports = (await asked('get-master-addr-by-name', name)).map((address) => Number(address.split(',')[1]))
      return ports.find((port) => port > 0 && ports.filter((other) => other === port).length >= quorum)
    },
    stop: async () => {
      for (const raw of raws) raw.disconnect()
      await Promise.all([...watchers, master, replica].map((server) => server.stop()))
    },
  }
  return watched
}
