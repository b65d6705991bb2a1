// Logins that a server binds to a connection in place of a request: NTLM, and Negotiate as Windows servers use it (RFC 4559 §6).

// Anywhere in the value: a challenge may stand behind others in one line, and a wrong guess costs one connection.
const scheme = /(?:^|[\s,])(?:ntlm|negotiate|nego2)(?:$|[\s,])/i

/** Returns true if an Authorization, or a challenge of WWW-Authenticate, belongs to a login of the whole connection. */
export function bindsLogin(value: string | undefined): boolean {
  return value !== undefined && scheme.test(value)
}
