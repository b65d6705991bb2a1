// Explains why there is no connection to Redis, and what an operator can do about it.

/** The connections that an error may come from. */
export interface Surroundings {
  /** True if they use TLS. */
  readonly tls: boolean
  /** True if one was ready before. */
  readonly proven: boolean
}

/**
 * Returns one line for an error that does not pass by itself: a refused password, user or database, a certificate, a name, a
 * server that is not Redis. `undefined` for a server that is down or silent, which has its own message. It quotes nothing
 * that was sent.
 */
export function diagnosis(thrown: unknown, { tls, proven }: Surroundings): string | undefined {
  const { lastNodeError } = thrown as { lastNodeError?: unknown } ?? {}
  const error = lastNodeError ?? thrown
  if (!(error instanceof Error)) return undefined
  const { code, command } = error as Error & { code?: unknown; command?: { name?: unknown } }
  if (error.message.startsWith('All sentinels are unreachable')) return ofSentinels(error.message)
  const reason = error.name === 'ReplyError' ? ofReply(error.message, String(command?.name ?? '').toUpperCase()) : typeof code === 'string' ? ofCode(code, error) : undefined
  if (reason === undefined && !proven && typeof code === 'string') return ofSilence(code, tls)
  return reason ?? (foreign.test(error.message) ? 'the server there is not Redis, or uses TLS; check host and port, and write rediss:// if it uses TLS' : undefined)
}

// A server without TLS waits for the end of what it takes for a command; one with TLS closes a connection that does not begin it.
function ofSilence(code: string, tls: boolean): string | undefined {
  if (tls && (code === 'ETIMEDOUT' || code === 'ECONNRESET'))
    return `no TLS connection can be made (${code}); check host and port, and write redis:// if the port does not speak TLS`
  return !tls && (code === 'ECONNRESET' || code === 'EPIPE')
    ? `it closes the connection before it replies (${code}); check the port, and write rediss:// if it speaks TLS`
    : undefined
}

// Messages of ioredis' reader, and of the guard around it.
const foreign = /^(?:Unknown RESP type|Protocol error|Command queue state error)/

const handshake: ReadonlySet<string> = new Set(['HELLO', 'AUTH', 'SELECT', 'INFO', 'CLUSTER', 'READONLY'])

function ofReply(message: string, command: string): string | undefined {
  const word = /^[A-Z][A-Z0-9]{1,23}(?= |$)/.exec(message)?.[0] ?? 'an error'
  if (word === 'WRONGPASS') return 'it refuses the user or password (WRONGPASS); check redis.username and redis.password, or those in the URL'
  if (word === 'NOAUTH') return 'it requires a password and none is set (NOAUTH); set redis.password, and redis.username if it has users'
  if (command === 'SELECT') {
    const why = word === 'NOPERM'
      ? 'NOPERM: the ACL of this user lacks SELECT'
      : message.includes('out of range')
      ? 'DB index is out of range: it has fewer databases'
      : message.includes('cluster mode')
      ? 'it is a cluster, which has only database 0'
      : word
    return `it does not let the database in redis.url be selected (${why}); no other database is used in its place`
  }
  if (message.includes('cluster support disabled')) return 'it is no cluster; give it as redis.url instead of redis.cluster'
  // A server that is loading, or a cluster that is down, recovers by itself.
  if (/^(?:LOADING|CLUSTERDOWN|MASTERDOWN|BUSY)$/.test(word)) return undefined
  return handshake.has(command) ? `it refuses ${command} (${word}); check what its ACL allows this user, and its version` : undefined
}

function ofSentinels(message: string): string {
  const [, said] = /Last error: (.*)$/s.exec(message) ?? []
  if (said === undefined) return 'the Sentinels do not name a master; check redis.sentinel.master'
  const word = /^(?:WRONGPASS|NOAUTH|NOPERM|ERR)(?= |$)/.exec(said)?.[0]
  if (word === 'WRONGPASS' || word === 'NOAUTH') return `the Sentinels refuse the user or password (${word}); check redis.sentinel.username and redis.sentinel.password`
  if (word !== undefined) return `the Sentinels refuse queries (${word}); check that redis.sentinel.nodes are Sentinels, and what their ACL allows`
  const [, name] = /^getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (\S{1,254})$/.exec(said) ?? []
  if (name !== undefined) return `the name ${name} of the Sentinels cannot be resolved; check redis.sentinel.nodes`
  return foreign.test(said)
    ? 'the servers there are not Sentinels, or they use TLS; check redis.sentinel.nodes'
    : 'no Sentinel can be reached; check redis.sentinel.nodes, and redis.tls where they speak TLS'
}

const certificates: ReadonlySet<string> = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
])

function ofCode(code: string, { message }: Error): string | undefined {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the name ${/ (\S{1,254})$/.exec(message)?.[1] ?? ''} cannot be resolved (${code}); check the host`
  if (certificates.has(code)) return `its certificate is of an authority that is not trusted (${code}); give the authority as redis.tls.ca`
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return `its certificate is not valid at this time (${code}); renew it`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'its certificate is for another name (ERR_TLS_CERT_ALTNAME_INVALID); give the name that it is for as redis.tls.servername'
  if (/ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|HANDSHAKE_FAILURE|CERTIFICATE_EXPIRED)$/.test(code))
    return `it does not accept the client's certificate, or requires one (${code}); check redis.tls.cert and redis.tls.key`
  if (/^(?:EPROTO|ERR_SSL_)/.test(code)) return `no TLS connection can be made (${code}); check the port, and write redis:// where it does not speak TLS`
  if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTSOCK') return `the socket cannot be opened (${code}); check the path in redis.url`
  return undefined
}
