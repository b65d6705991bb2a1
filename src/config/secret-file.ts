// Reads a file that holds one secret, as Docker and Kubernetes mount them.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { readFailures } from './file.ts'
import { KiB } from './units.ts'

/** The largest secret. A larger file was probably named by mistake. */
const mostBytes = 64 * KiB

/** The secret of a file, or the reason why it cannot be used, which never quotes the content. */
export type SecretFile = { readonly usable: true; readonly secret: string } | { readonly usable: false; readonly why: string }

/**
 * Reads a secret. All line breaks at the end of the file are removed; all other spaces belong to the secret. Never blocks: a
 * pipe or a device is refused before it is read.
 */
export function readSecretFile(file: string): SecretFile {
  const bytes = readPlainFile(file)
  if (typeof bytes === 'string') return { usable: false, why: `cannot read ${file}: ${bytes}` }
  if (bytes.length > mostBytes) return { usable: false, why: `${file} is larger than ${mostBytes / KiB} KiB; it may be the wrong file` }
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

// A loop takes linear time. A regular expression would start again at each of many line breaks.
function withoutLastBreaks(text: string): string {
  let end = text.length
  while (end > 0 && (text[end - 1] === '\n' || text[end - 1] === '\r')) end--
  return text.slice(0, end)
}

/** Returns the file's bytes, at most one more than the limit, or the reason why they cannot be read. */
function readPlainFile(file: string): Buffer | string {
  let descriptor: number | undefined
  try {
    // Without O_NONBLOCK, opening a pipe that has no writer would block.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const kind = fstatSync(descriptor)
    if (kind.isDirectory()) return readFailures.EISDIR as string
    if (!kind.isFile()) return 'it is not a regular file'
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
