// A request as a listener received it, and where the dispatcher takes it.
import type { IncomingMessage } from 'node:http'
import type { ClientResponse } from '../../exchange/client/response.ts'
import type { Http2Request } from './http2-request.ts'

/** Its body is read from this stream. */
export type ClientRequest = IncomingMessage | Http2Request

/** Takes a request through to its response. Never throws. */
export type Dispatch = (request: ClientRequest, response: ClientResponse) => void
