// Several ranges of a stored body as one multipart/byteranges message: RFC 9110 §14.6, §15.3.7.2.
import { randomBytes } from 'node:crypto'
import type { Slice } from '../../policy/part.ts'
import type { Body } from '../../store/store.ts'

/** A body made of slices of another, each with its head. Nothing is read before it is sent. */
export class MultipartBody implements Body {
  readonly bytes = undefined
  readonly contentType: string
  /** The exact length of the whole. */
  readonly length: number
  readonly #body: Body
  readonly #parts: readonly { readonly head: Buffer; readonly slice: Slice }[]
  readonly #end: Buffer

  /** @param contentType the Content-Type of the whole, if it has one */
  constructor(body: Body, slices: readonly Slice[], contentType: string | undefined) {
    // RFC 2046 §5.1.1: it must not occur in the parts. It is random, so no origin could have put it there.
    const boundary = randomBytes(24).toString('base64url')
    const type = contentType === undefined ? '' : `Content-Type: ${contentType}\r\n`
    this.contentType = `multipart/byteranges; boundary=${boundary}`
    this.#body = body
    this.#parts = slices.map((slice, i) => ({
      slice,
      head: Buffer.from(`${i === 0 ? '' : '\r\n'}--${boundary}\r\n${type}Content-Range: ${slice.contentRange}\r\n\r\n`, 'latin1'),
    }))
    this.#end = Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1')
    this.length = this.#parts.reduce((sum, { head, slice }) => sum + head.length + slice.end - slice.start, this.#end.length)
  }

  /** Reads all of it, whatever the arguments: no range is taken of a multipart body. */
  async *read(): AsyncGenerator<Buffer, void, undefined> {
    for (const { head, slice } of this.#parts) {
      // The head waits for the first of its bytes: until then a lost body is only a miss.
      let before: Buffer | undefined = head
      for await (const chunk of this.#body.read(slice.start, slice.end)) {
        if (before !== undefined) yield before
        before = undefined
        yield chunk
      }
    }
    yield this.#end
  }
}
