// Every error of Sentinels and of the nodes of a cluster, met by real processes.
import { clusterErrors, sentinelErrors } from '../support/redis-errors.ts'
import { meet } from './meet-redis-error.ts'

for (const error of [...sentinelErrors, ...clusterErrors]) meet(error)
