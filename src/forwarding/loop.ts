// Counts how often a message has passed a proxy of a given name: Via (RFC 9110 §7.6.3) and CDN-Loop (RFC 8586 §2).

/** Counts the members of one Via line that name this proxy: protocol, name, comment. */
export function viaPasses(line: string, name: string): number {
  let count = 0
  for (const member of line.split(',')) if (member.trim().split(/\s+/)[1] === name) count++
  return count
}

/**
 * Counts the members of one CDN-Loop line that name this proxy: a cdn-id, perhaps with parameters.
 *
 * RFC 8586 does not define a malformed line. Here commas separate members even within quotes, because a quote that never
 * closes would hide every member after it. At worst, a client that writes this name into a parameter reaches the limit
 * sooner.
 */
export function cdnLoopPasses(line: string, name: string): number {
  let count = 0
  for (const member of line.split(',')) {
    const end = member.indexOf(';')
    // A cdn-id may be a host name, which is case-insensitive.
    if ((end < 0 ? member : member.slice(0, end)).trim().toLowerCase() === name.toLowerCase()) count++
  }
  return count
}
