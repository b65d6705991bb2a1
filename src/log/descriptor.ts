// A file descriptor to which writes never wait: what cannot be written at once fails with EAGAIN.
import { constants, fstatSync, openSync, type Stats } from 'node:fs'

/** Standard output or standard error as lines are written to it. */
export interface Descriptor {
  readonly fd: number
  /** A file on a disk: a write takes all of a batch, or fails because the disk is full. */
  readonly isFile: boolean
  /** Has to be called before each write, where other processes may have made the descriptor wait again. */
  readonly unblock?: () => void
}

/**
 * Returns a descriptor for the same file, pipe, terminal or socket as `fd`.
 *
 * A pipe or terminal without a reader would block the process, and process.exit() with it. O_NONBLOCK belongs to the open
 * file description, which parent, workers and shell share. Any of them may switch it off again: Node does so for each child
 * that it starts. So a pipe or terminal is opened anew, which gives this process a description of its own. A regular file is
 * not: a new description would begin at offset 0.
 */
export function nonBlocking(fd: 1 | 2): Descriptor {
  const kind = kindOf(fd)
  if (kind === undefined || kind.isFile()) return { fd, isFile: kind !== undefined }
  try {
    return { fd: openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY), isFile: false }
  } catch {
    // A socket cannot be opened, nor can a pipe without a reader, a pipe of another user, or anything where there is no /proc.
    const { _handle: handle } = (fd === 1 ? process.stdout : process.stderr) as NodeJS.WriteStream & { readonly _handle?: Partial<StreamHandle> | null }
    return { fd, isFile: false, unblock: () => handle?.setBlocking?.(false) }
  }
}

/** The part of Node's own stream of a pipe or socket that sets O_NONBLOCK. Where Node names it otherwise, nothing happens. */
interface StreamHandle {
  setBlocking(blocking: boolean): unknown
}

function kindOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd)
  } catch {
    return undefined
  }
}
