// Requests to the admin API by the login's cookie. Every failure is an `ApiProblem`, which a view shows as one alert.

/** A failed request: a problem document of the API (RFC 9457), or a connection that broke. */
export class ApiProblem extends Error {
  /** The status of the response. 0: there was none. */
  readonly status: number
  /** The faults of single fields, as the API names them. */
  readonly errors: readonly { readonly path: string; readonly message: string }[]

  constructor(message: string, status: number, errors: ApiProblem['errors'] = []) {
    super(message)
    this.status = status
    this.errors = errors
  }
}

/** The login of this page. */
export interface Login {
  readonly name: string
  readonly scopes: readonly string[]
  readonly expiresMs: number
  /** Goes into `X-CSRF-Token` of each request that changes something. */
  readonly csrf: string
}

let csrf = ''

/** Called when the API says that there is no login, or that it has ended. */
export const session: { ended: () => void } = { ended: () => undefined }

/** Returns the problem that a response describes. */
async function problemOf(response: Response): Promise<ApiProblem> {
  let document: { title?: string; detail?: string; errors?: ApiProblem['errors'] } = {}
  try {
    document = await response.json()
  } catch {
    // A proxy in between may have sent another body. The status says enough.
  }
  const wait = response.headers.get('retry-after')
  const text = document.detail ?? document.title ?? `The server responded with ${response.status}.`
  return new ApiProblem(wait === null ? text : `${text} Try again in ${wait} s.`, response.status, document.errors)
}

async function send(method: string, path: string, body: unknown): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (method !== 'GET') headers['x-csrf-token'] = csrf
  let response
  try {
    response = await fetch(path, { method, headers, credentials: 'same-origin', cache: 'no-store', ...(body !== undefined && { body: JSON.stringify(body) }) })
  } catch {
    throw new ApiProblem('The admin listener cannot be reached.', 0)
  }
  if (response.ok) return response
  const problem = await problemOf(response)
  if (response.status === 401 && path !== '/v1/login') session.ended()
  throw problem
}

/** Parameters of a query. Empty and absent ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

/** Returns a path with its query. */
export function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '' && value !== false)
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()}`
}

/** Reads a document. @throws ApiProblem */
export async function get<T>(path: string, query: Query = {}): Promise<T> {
  return (await send('GET', withQuery(path, query), undefined)).json() as Promise<T>
}

/** Sends a document, and returns the one in the response with its status. @throws ApiProblem */
export async function post<T>(path: string, body: unknown): Promise<{ readonly status: number; readonly body: T }> {
  const response = await send('POST', path, body)
  return { status: response.status, body: (await response.json()) as T }
}

/** Deletes a resource. @throws ApiProblem */
export async function remove(path: string): Promise<void> {
  await send('DELETE', path, undefined)
}

/** Logs in by a token. The page keeps no copy of it: the cookie is HttpOnly, and holds a code made from the token. @throws ApiProblem */
export async function logIn(token: string): Promise<Login> {
  return keep((await post<Login>('/v1/login', { token })).body)
}

/** Returns the login of the cookie that the browser holds; undefined if it holds none. @throws ApiProblem */
export async function currentLogin(): Promise<Login | undefined> {
  try {
    return keep(await get<Login>('/v1/login'))
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) return undefined
    throw error
  }
}

/** Ends the login of this browser. @throws ApiProblem */
export async function logOut(): Promise<void> {
  await remove('/v1/login')
  csrf = ''
}

function keep(login: Login): Login {
  csrf = login.csrf
  return login
}
