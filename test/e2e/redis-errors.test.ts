// Every error of one Redis server, and peers that repeat the bytes they receive, met by real processes.
import { impostors } from '../support/impostors.ts'
import { singleErrors } from '../support/redis-errors.ts'
import { meet } from './meet-redis-error.ts'

for (const error of [...singleErrors, ...impostors]) meet(error)
