// The certificates of the listener: which one a client gets, by the name that it requests (SNI, RFC 6066 §3).
import { X509Certificate } from 'node:crypto'
import type { Server as HttpsServer } from 'node:https'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { ListenerTls, TlsFiles } from './options.ts'

/** Chooses among certificates, which `renew` replaces for handshakes from then on. */
export class CertificateChoice {
  #contexts: ReadonlyMap<string, SecureContext> = new Map()

  constructor(tls: ListenerTls) {
    this.#take(tls)
  }

  /** Uses other certificates, also as the default of the server. Connections stay. */
  renew(tls: ListenerTls, server: HttpsServer): void {
    server.setSecureContext(contextOptions(tls, tls))
    this.#take(tls)
  }

  /** For node:tls: calls back with the certificate for a name, or without one for the default. */
  readonly choose = (name: string, answer: (error: Error | null, context?: SecureContext) => void): void => {
    const exact = name.toLowerCase().replace(/\.$/, '')
    const dot = exact.indexOf('.')
    // RFC 9525 §6.3: a wildcard stands for one label, the first.
    answer(null, this.#contexts.get(exact) ?? (dot < 0 ? undefined : this.#contexts.get(`*${exact.slice(dot)}`)))
  }

  #take(tls: ListenerTls): void {
    const contexts = new Map<string, SecureContext>()
    for (const each of tls.certificates ?? [tls]) {
      const context = createSecureContext(contextOptions(each, tls))
      // The first certificate for a name counts.
      for (const name of namesOf(each.cert)) if (!contexts.has(name)) contexts.set(name, context)
    }
    this.#contexts = contexts
  }
}

function contextOptions({ cert, key }: TlsFiles, { minVersion }: ListenerTls): SecureContextOptions {
  return { cert, key, ...(minVersion !== undefined && { minVersion }) }
}

/** Returns the DNS names of the first certificate in a PEM, in lower case; its common name if it has none. */
function namesOf(pem: string | Buffer): string[] {
  const certificate = new X509Certificate(pem)
  const names = [...(certificate.subjectAltName ?? '').matchAll(/DNS:([^,"\s]+)/g)].map(([, name]) => (name as string).toLowerCase())
  if (names.length > 0) return names
  const common = /^CN=(\S+)$/m.exec(certificate.subject)?.[1]
  return common === undefined ? [] : [common.toLowerCase()]
}
