// Partial content over a real Redis: the same promises as over the embedded store.
import t from 'tap'
import { startRedis } from '../support/redis.ts'
import { partialContract } from './partial-contract.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
partialContract(t, redis)
