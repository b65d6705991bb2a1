// Every error that one Redis server can answer with, and peers that repeat what they are sent, met by real processes.
import { impostors } from '../support/impostors.ts'
import { singleErrors } from '../support/redis-errors.ts'
import { meet } from './meet-redis-error.ts'

for (const error of [...singleErrors, ...impostors]) meet(error)
