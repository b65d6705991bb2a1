// The test certificate as files, for listeners that a configuration describes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testCertificate, testKey } from './certificate.ts'

/** `proxy.tls` of a configuration. The files go when the test ends. */
export function tlsFiles(t: { teardown(close: () => void): void }): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'springhouse-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  writeFileSync(files.cert, testCertificate)
  writeFileSync(files.key, testKey)
  return files
}
