// Redis that cannot be used for a while, whatever the reason: it costs hits, never a response, a purge, or the truth.
import t from 'tap'
import { eventually } from '../support/log.ts'
import type { RedisServer } from '../support/redis.ts'
import { allSay, json } from '../support/site.ts'
import { pass } from '../support/tcp-proxy.ts'
import { ends, paths, purges, recovered, settled, startUnderLoad, withoutMemory, type Scene } from '../support/trouble.ts'

// Trouble takes its time, and a machine that others use as well takes more.
t.setTimeout(360_000)

interface Trouble {
  readonly name: string
  /** Before the replicas start. */
  before?(redis: RedisServer): Promise<void>
  begin(scene: Scene): unknown
  end(scene: Scene): unknown
  /** True if the trouble shows as `degraded`; otherwise it ends as soon as it has begun. */
  readonly shows: boolean
  /** Statuses that a purge may have while the trouble lasts. */
  readonly purges: readonly number[]
  /** True if entries stored before the trouble are still there afterwards. */
  readonly keeps: boolean
}

const troubles: readonly Trouble[] = [
  {
    name: 'down at start',
    before: redis => redis.stop(),
    begin: () => undefined,
    end: ({ redis }) => redis.restart(),
    shows: true,
    purges: [503],
    keeps: false,
  },
  {
    name: 'killed under load, and restarted empty',
    begin: ({ redis }) => redis.kill('SIGKILL'),
    end: ({ redis }) => redis.restart(),
    shows: true,
    purges: [503],
    keeps: false,
  },
  {
    name: 'hung',
    begin: ({ redis }) => redis.kill('SIGSTOP'),
    end: ({ redis }) => redis.kill('SIGCONT'),
    shows: true,
    purges: [503],
    keeps: true,
  },
  {
    name: 'slow: 200 ms for each reply',
    begin: ({ line }) => {
      line.replies = () =>
        new Promise(resolve => {
          setTimeout(() => resolve(undefined), 200)
        })
    },
    end: ({ line }) => {
      line.replies = pass
    },
    // A purge may wait longer than a look-up: it is recorded where the line lets it through.
    shows: true,
    purges: [200, 202, 503],
    keeps: false,
  },
  {
    name: 'a replica that refuses writes, as after a failover',
    begin: ({ raw }) => raw.replicaof('127.0.0.1', 1),
    end: ({ raw }) => raw.replicaof('NO', 'ONE'),
    shows: true,
    purges: [503],
    keeps: true,
  },
  {
    name: 'out of memory, with noeviction',
    begin: ({ raw }) => raw.config('SET', 'maxmemory', '1'),
    end: ({ raw }) => raw.config('SET', 'maxmemory', '0'),
    // A Redis that is full of entries can evict them.
    shows: true,
    purges: [200],
    keeps: false,
  },
]

const tiers = [['memory in front of it', {}], ['nothing in front of it', withoutMemory]] as const

for (const trouble of troubles)
  for (const [tier, config] of tiers) {
    t.test(`Redis ${trouble.name}; ${tier}`, async t => {
      const scene = await startUnderLoad(t, { config, ...(trouble.before !== undefined && { before: trouble.before }) })
      const { site } = scene
      const [a, b] = site.replicas
      const load = site.load(paths)
      await load.more(60)
      if (trouble.before === undefined) settled(t, load, 'before')
      const kept = await a.get('/kept')
      await trouble.begin(scene)
      await eventually(() => allSay(site, ['redis']))
      t.same((await json<{ store: { degraded: string[] } }>(b.admin('/v1/stats'))).store.degraded, ['redis'], 'the statistics say so too')
      load.times()
      await load.more(60)
      const answered = await purges(t, site, 4)
      await load.more(60)
      settled(t, load, 'while it lasts')
      for (const status of answered) t.ok(trouble.purges.includes(status), `a purge answers ${status}`)
      // On a machine that is busy enough one reply may pass for timely, and be taken for a recovery, for a moment.
      await eventually(() => allSay(site, ['redis']))
      await trouble.end(scene)
      if (trouble.keeps) {
        const stored = () => b.get('/kept', { 'Cache-Control': 'only-if-cached' })
        await eventually(async () => (await stored()).status === 200)
        t.equal((await stored()).body.toString(), kept.body.toString(), 'purges that were refused have purged nothing, then or later')
      }
      await recovered(t, site)
      t.not((await b.get('/kept')).body.toString(), kept.body.toString())
      await load.more(60)
      settled(t, load, 'after')
      // At most one for each client, when it begins and when it ends.
      await ends(t, load, 8)
      for (const { log } of site.replicas) t.same(log.filter(({ level }) => level >= 50), [], 'nothing went wrong inside')
    })
  }
