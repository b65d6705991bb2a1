// Certificates, keys and authorities that a configuration names: reads the files, and says what is wrong with which.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { readFailures } from './file.ts'
import type { Problem } from './problem.ts'
import type { Config } from './schema.ts'

/** A setting and the path of its file; the file may be left out. */
export interface PemSetting {
  readonly path: string
  readonly file: string | undefined
}

/** The settings of one end of TLS: its own certificate and key, and the authorities that it trusts. */
export interface PemSettings {
  /** The section, for problems that concern more than one file. */
  readonly path: string
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly ca?: string | undefined
}

/** Returns every end of TLS that a configuration describes, with its files. */
export function pemSettings({ proxy, redis, origins }: Pick<Config, 'proxy' | 'redis' | 'origins'>): PemSettings[] {
  const all: PemSettings[] = []
  if (proxy.tls !== undefined) all.push(...listenerPems(proxy.tls))
  if (redis?.tls !== undefined) all.push({ path: 'redis.tls', cert: redis.tls.cert, key: redis.tls.key, ca: redis.tls.ca })
  for (const [name, { tls }] of Object.entries(origins)) {
    if (tls !== undefined) all.push({ path: `origins.${name}.tls`, cert: tls.cert, key: tls.key, ca: tls.ca })
  }
  return all
}

/** Returns the certificates of the listener, the default one first. */
export function listenerPems({ cert, key, certificates }: NonNullable<Config['proxy']['tls']>): PemSettings[] {
  const further = certificates.map((each, index) => ({ path: `proxy.tls.certificates[${index}]`, ...each }))
  return cert === undefined && key === undefined ? further : [{ path: 'proxy.tls', cert, key }, ...further]
}

/** Returns a problem for each file that cannot be used, and for a key that does not belong to its certificate. */
export function pemProblems({ path, cert, key, ca }: PemSettings): Problem[] {
  const chain = readPem({ path: `${path}.cert`, file: cert }, chainFault)
  const secret = readPem({ path: `${path}.key`, file: key }, keyFault)
  const authorities = readPem({ path: `${path}.ca`, file: ca }, chainFault)
  const problems = [chain, secret, authorities].flatMap((each) => each?.problem ?? [])
  if (problems.length > 0) return problems
  if (chain !== undefined && secret === undefined) return [{ path: `${path}.key`, message: `missing; ${path}.cert is given and needs its key` }]
  if (chain === undefined && secret !== undefined) return [{ path: `${path}.cert`, message: `missing; ${path}.key is given and needs its certificate` }]
  const fault = chain?.text === undefined || secret?.text === undefined ? undefined : pairFault(chain.text, secret.text, cert as string, key as string)
  return fault === undefined ? [] : [{ path: `${path}.key`, message: fault }]
}

/** Returns a sentence for each certificate that is not valid at a time: expired, or not valid yet. */
export function pemNotices(settings: PemSettings, nowMs: number): string[] {
  return [['cert', settings.cert], ['ca', settings.ca]].flatMap(([name, file]) => {
    if (file === undefined) return []
    let text: string
    try {
      text = readFileSync(file, 'utf8')
    } catch {
      return [] // reported as a problem
    }
    return certificatesIn(text).flatMap((pem) => {
      const { validFrom, validTo } = new X509Certificate(pem)
      if (Date.parse(validTo) < nowMs) return [`${settings.path}.${name}: ${file} holds a certificate that has expired (${validTo})`]
      return Date.parse(validFrom) > nowMs ? [`${settings.path}.${name}: ${file} holds a certificate that is not valid before ${validFrom}`] : []
    })
  })
}

interface Read {
  readonly text?: string
  readonly problem?: Problem
}

function readPem({ path, file }: PemSetting, faultOf: (bytes: Buffer) => string | undefined): Read | undefined {
  if (file === undefined) return undefined
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    return { problem: { path, message: `cannot read ${file}: ${readFailures[code] ?? code}` } }
  }
  const fault = faultOf(bytes)
  return fault === undefined ? { text: bytes.toString('utf8') } : { problem: { path, message: `${file} ${fault}` } }
}

function certificatesIn(text: string): string[] {
  return text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g) ?? []
}

function chainFault(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1')
  if (bytes.length === 0) return 'is empty'
  const certificates = certificatesIn(text)
  if (certificates.length === 0) {
    if (/PRIVATE KEY-----/.test(text)) return 'holds a key and no certificate; cert and key may be exchanged'
    if (bytes[0] === 0x30) return 'is not PEM; convert it with openssl x509 -inform der'
    return 'holds no certificate in PEM'
  }
  for (const [index, pem] of certificates.entries()) {
    if (!isReadable(() => new X509Certificate(pem))) return `holds a certificate that cannot be read (number ${index + 1})`
  }
  return undefined
}

function keyFault(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1')
  if (bytes.length === 0) return 'is empty'
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(text)) return 'holds a key with a passphrase, which is not supported; remove it with openssl pkey'
  if (!/PRIVATE KEY-----/.test(text)) {
    if (/BEGIN CERTIFICATE/.test(text)) return 'holds a certificate and no key; cert and key may be exchanged'
    if (bytes[0] === 0x30) return 'is not PEM; convert it with openssl pkey -inform der'
    return 'holds no private key in PEM'
  }
  return isReadable(() => createPrivateKey(text)) ? undefined : 'holds a private key that cannot be read'
}

function isReadable(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch {
    return false
  }
}

function pairFault(chain: string, secret: string, cert: string, key: string): string | undefined {
  const privateKey = createPrivateKey(secret)
  const certificates = certificatesIn(chain).map((pem) => new X509Certificate(pem))
  const own = certificates.findIndex((certificate) => certificate.checkPrivateKey(privateKey))
  if (own < 0) return `${key} does not belong to the certificate in ${cert}`
  if (own > 0) return `${cert} begins with another certificate than that of the key in ${key}; its own must be the first`
  try {
    createSecureContext({ cert: chain, key: secret })
    return undefined
  } catch (error) {
    return `${cert} and ${key} cannot be used: ${(error as { reason?: string }).reason ?? 'OpenSSL refuses them'}`
  }
}
