// What was thrown, as an error and as a sentence: anything may be thrown.

export const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)))

export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))
