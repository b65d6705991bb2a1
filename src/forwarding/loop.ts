// How often a message has passed a proxy of a given name: Via (RFC 9110 §7.6.3) and CDN-Loop (RFC 8586 §2).

/** How many members of one Via line name this proxy: protocol, name, comment. */
export function viaPasses(line: string, name: string): number {
  let count = 0
  for (const member of line.split(',')) if (member.trim().split(/\s+/)[1] === name) count++
  return count
}

/**
 * How many members of one CDN-Loop line are this proxy's: a cdn-id, perhaps with parameters. RFC 8586 says nothing of a
 * malformed line. Here commas part it even within quotes, since a quote that never closes would hide every member after
 * it; at the worst a client that writes this name into a parameter shortens its own way.
 */
export function cdnLoopPasses(line: string, name: string): number {
  let count = 0
  for (const member of line.split(',')) {
    const end = member.indexOf(';')
    // A cdn-id may be a host name, and those have no case.
    if ((end < 0 ? member : member.slice(0, end)).trim().toLowerCase() === name.toLowerCase()) count++
  }
  return count
}
