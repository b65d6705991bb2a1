// Reads an event stream of the admin API (HTML Standard §9.2.6), as far as that API uses the format.

export interface StreamEvent {
  readonly name: string
  readonly data: unknown
}

/** Yields the events of a stream. Comments, and data that is not JSON, are left out. */
export async function* readEvents(chunks: AsyncIterable<Buffer | string>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) {
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const event = eventOf(text.slice(0, end))
      text = text.slice(end + 2)
      if (event !== undefined) yield event
    }
  }
}

function eventOf(block: string): StreamEvent | undefined {
  const lines = block.split('\n')
  const valueOf = (field: string): string | undefined => lines.find(line => line.startsWith(`${field}: `))?.slice(field.length + 2)
  const data = valueOf('data')
  if (data === undefined) return undefined
  try {
    return { name: valueOf('event') ?? 'message', data: JSON.parse(data) as unknown }
  } catch {
    return undefined
  }
}
