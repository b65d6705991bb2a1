// The part of the demo that has state: a basket and a log-in, kept by the proxy. The servers keep nothing of it.
import type { DemoSession, ReadSession } from './session-field.ts'

/** A response to be sent. */
export interface Reply {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  readonly value?: object
}

const uncached = { 'cache-control': 'no-store' }

/** The handlers, by method and first segment of the path: of the session, if there is one, and the segments after the first. */
const handlers: Readonly<Record<string, (session: DemoSession | undefined, rest: readonly string[]) => Reply>> = {
  'GET basket': (session) => ({ status: 200, fields: uncached, value: { user: session?.sub ?? null, basket: session?.data.basket ?? {} } }),
  // It depends on what was read, so it names the version, and the proxy sends the request again if that has changed meanwhile.
  'POST basket': (session, [item = '']) => {
    if (!/^[a-z]{1,20}$/.test(item)) return { status: 404, fields: uncached, value: { error: 'an item such as /basket/apples' } }
    const count = (session?.data.basket?.[item] ?? 0) + 1
    return change({ data: { basket: { [item]: count } }, if: session?.ver ?? 0, ...(session !== undefined && { retry: true }) })
  },
  // A demo has no passwords.
  'POST login': (_session,
    [user = '']) => (/^[a-z]{1,20}$/.test(user) ? change({ login: user }) : { status: 404, fields: uncached, value: { error: 'a user such as /login/zoe' } }),
  'POST logout': () => change({ logout: true }),
}

/** True for a method and a first segment of this part. */
export function isBasket(methodAndFirst: string): boolean {
  return Object.hasOwn(handlers, methodAndFirst)
}

/** Returns the response to such a request. @param field Springhouse-Session of the request @param read undefined: fields are not read, so nobody has a session */
export async function basket(methodAndFirst: string, rest: readonly string[], field: string | undefined, read: ReadSession | undefined): Promise<Reply> {
  const handler = handlers[methodAndFirst] as (typeof handlers)[string]
  if (field === undefined || read === undefined) return handler(undefined, rest)
  try {
    return handler(await read(field), rest)
  } catch {
    return { status: 401, fields: uncached, value: { error: 'this session is not from the proxy' } }
  }
}

/** A response with an instruction to the proxy. */
function change(instruction: object): Reply {
  return { status: 204, fields: { ...uncached, 'springhouse-session-set': JSON.stringify(instruction) } }
}
