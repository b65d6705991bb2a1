// PLACEHOLDER for the demo.
import { CommandFailure } from './failure.ts'

export async function demo(): Promise<void> {
  throw new CommandFailure('the demo is not built yet')
}
