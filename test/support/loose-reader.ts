// Readings that applications make of fields about a request's source: each in its own way, and none of them strictly.
import { fieldValue, type FieldLines } from '../../src/http/fields.ts'

const address = '(?:\\d{1,3}(?:\\.\\d{1,3}){3}(?::\\d+)?|\\[[\\da-f:.]+\\](?::\\d+)?|[\\da-f:.]*:[\\da-f:.]*|unknown(?::\\d+)?)'
const onlyAddress = new RegExp(`^${address}$`, 'i')
const addressPair = new RegExp(`^[\\t ]*(?:for|by)=("?)(?:${address}|(?:_[\\w.-]+|unknown|[\\d.]+|\\[[\\da-f:.]+\\])(?::(?:_[\\w.-]+|\\d+))?)\\1[\\t ]*$`, 'i')

/** The first and the last value of a parameter, anywhere in the text. */
function search(text: string, name: string): readonly (string | undefined)[] {
  const found = [...text.matchAll(new RegExp(`${name}[\\t ]*=[\\t ]*"?([^";,\\s]*)`, 'gi'))].map(([, value]) => value)
  return [found[0], found.at(-1)]
}

/** The values of Forwarded's own elements, the proxy's last: by the first of them, the last, and the one before. */
function ofElements(forwarded: string): unknown {
  const elements = forwarded.split(',')
  const [own = ''] = elements.slice(-1)
  const told = new Set(own.split(';').map(pair => pair.trim()))
  return {
    chosen: [0, -1, -2].map(at => ['host', 'proto', 'secret'].map(name => search(elements.at(at) ?? own, name)[0] ?? 'its own')),
    searched: ['host', 'proto', 'secret'].map(name => search(forwarded, name)),
    // The parts that are neither an address nor sent by the proxy with every request.
    others: forwarded.split(/[;,]/).filter(part => !addressPair.test(part) && !told.has(part.trim())),
  }
}

/**
 * Everything that some reader could let show in a response, of the fields that an origin is sent, names in lower case. Two requests that are
 * understood in the same way may share a response. Addresses of clients are left out, for they are no part of a key.
 */
export function understood(sent: FieldLines): unknown {
  const cgi = new Map<string, string[]>()
  for (let i = 0; i < sent.length; i += 2) {
    const name = (sent[i] as string).replaceAll(/[^a-z0-9]/g, '-')
    if (name !== 'forwarded') cgi.set(name, [...(cgi.get(name) ?? []), sent[i + 1] as string])
  }
  const host = cgi.get('x-forwarded-host')?.[0]
  const port = cgi.get('x-forwarded-port') ?? [/:(\d+)$/.exec(host ?? '')?.[1] ?? (cgi.get('x-forwarded-proto')?.[0] === 'https' ? '443' : '80')]
  cgi.delete('x-forwarded-port')
  const others = [...cgi].filter(([, values]) => values.some(value => value.split(',').some(member => !onlyAddress.test(member.replaceAll(/^[\t ]+|[\t ]+$/g, '')))))
  return { forwarded: ofElements(fieldValue(sent, 'forwarded') ?? ''), port, others: others.toSorted(([one], [other]) => (one < other ? -1 : 1)) }
}
