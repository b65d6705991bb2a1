// Every error of Sentinels and of the nodes of a cluster, met by a real process.
import { clusterErrors, sentinelErrors } from '../support/redis-errors.ts'
import { meetAll } from './meet-redis-error.ts'

meetAll([...sentinelErrors, ...clusterErrors])
