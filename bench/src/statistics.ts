export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  if (low === undefined || high === undefined) throw new RangeError('nothing has no median')
  return (low + high) / 2
}

export const range = (values: readonly number[]): { readonly lowest: number; readonly highest: number } => ({
  lowest: Math.min(...values),
  highest: Math.max(...values),
})
