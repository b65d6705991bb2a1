// Media types that decide how long a response may last.
import t from 'tap'
import { isEventStream, isGrpc } from '../../src/http/media-type.ts'

const types = {
  'text/event-stream': 'events',
  'Text/Event-Stream; charset=utf-8': 'events',
  'text/event-stream ;charset=utf-8': 'events',
  'text/event-streams': 'neither',
  'text/event-stream+json': 'neither',
  'application/grpc': 'grpc',
  'application/grpc+proto': 'grpc',
  'application/gRPC-Web-Text+json; a=b': 'grpc',
  'application/grpc-other': 'neither',
  'application/grpcweb': 'neither',
  'application/json': 'neither',
  '': 'neither',
}

for (const [type, kind] of Object.entries(types)) {
  t.test(`'${type}' is ${kind}`, async t => {
    t.equal(isEventStream(['content-type', type]), kind === 'events')
    t.equal(isGrpc(['content-type', type]), kind === 'grpc')
  })
}

t.test('a response that names no type is neither', async t => {
  t.notOk(isEventStream(['x', 'text/event-stream']))
  t.notOk(isGrpc([]))
})
