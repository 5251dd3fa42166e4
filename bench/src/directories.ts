// Directories for the time of a run. Whatever is left of them goes when the benchmark ends, however it ends.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const made = new Set<string>()

export const makeDirectory = (purpose: string): string => {
  const directory = mkdtempSync(join(tmpdir(), `holdfast-bench-${purpose}-`))
  // PostgreSQL does not run as root; the account that it then runs as must be able to pass through.
  chmodSync(directory, 0o711)
  made.add(directory)
  return directory
}

export const removeDirectory = (directory: string): void => {
  if (made.delete(directory)) rmSync(directory, { recursive: true, force: true })
}

/** For the last moment of the process. */
export const removeAllDirectories = (): void => {
  for (const directory of made) removeDirectory(directory)
}
