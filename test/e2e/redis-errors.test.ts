// Every error of one Redis server, and peers that repeat the bytes they receive, met by a real process.
import { impostors } from '../support/impostors.ts'
import { singleErrors } from '../support/redis-errors.ts'
import { meetAll } from './meet-redis-error.ts'

meetAll([...singleErrors, ...impostors])
