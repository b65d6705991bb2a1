// The part of a logger that the Redis store uses.

/** The part of a pino logger that is used here. */
export interface Log {
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}
