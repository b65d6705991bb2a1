// A file that holds one secret, as Docker and Kubernetes mount them.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { readFailures } from './file.ts'
import { KiB } from './units.ts'

/** No secret is longer; what is larger is another file, named by mistake. */
const mostBytes = 64 * KiB

/** What a secret file holds, or why that cannot be used: never what is in it. */
export type SecretFile = { readonly usable: true; readonly secret: string } | { readonly usable: false; readonly why: string }

/**
 * Reads a secret. The line breaks at the end of the file are no part of it, however many; all other spaces are. Never
 * waits: a pipe or a device is refused before anything is read from it.
 */
export function readSecretFile(file: string): SecretFile {
  const bytes = readPlainFile(file)
  if (typeof bytes === 'string') return { usable: false, why: `cannot read ${file}: ${bytes}` }
  if (bytes.length > mostBytes) return { usable: false, why: `${file} is larger than ${mostBytes / KiB} KiB: is it another file?` }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return { usable: false, why: `${file} is not text in UTF-8` }
  }
  const secret = withoutLastBreaks(text)
  if (secret === '') return { usable: false, why: `${file} is empty` }
  if (/[\r\n]/.test(secret)) return { usable: false, why: `${file} has more than one line` }
  if (/\p{Cc}/u.test(secret)) return { usable: false, why: `${file} holds control characters` }
  return { usable: true, secret }
}

// A loop, for an expression would start anew at each of many line breaks.
function withoutLastBreaks(text: string): string {
  let end = text.length
  while (end > 0 && (text[end - 1] === '\n' || text[end - 1] === '\r')) end--
  return text.slice(0, end)
}

/** Its bytes, one more than are allowed at most; or why there are none. */
function readPlainFile(file: string): Buffer | string {
  let descriptor: number | undefined
  try {
    // Opening a pipe that nobody writes to would block without O_NONBLOCK.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const kind = fstatSync(descriptor)
    if (kind.isDirectory()) return readFailures.EISDIR as string
    if (!kind.isFile()) return 'it is not a plain file'
    const bytes = Buffer.alloc(mostBytes + 1)
    let length = 0
    for (let more = 1; more > 0 && length < bytes.length; length += more) more = readSync(descriptor, bytes, length, bytes.length - length, null)
    return bytes.subarray(0, length)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    return readFailures[code] ?? (code === 'ENOTDIR' ? readFailures.ENOENT as string : code)
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
