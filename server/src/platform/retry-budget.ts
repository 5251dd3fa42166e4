// How much may be tried again: a small part of what is asked, so that whoever is overloaded is not asked twice by everybody.

export type RetryBudget = {
  /** Something was asked for the first time. */
  asked(): void
  /** Whether it may be asked again; takes that from what there is. */
  spend(): boolean
}

/** @param share  of what is asked that may be asked again, such as 0.1 */
export const retryBudget = ({ share, most }: { readonly share: number; readonly most: number }): RetryBudget => {
  let left = most
  return {
    asked: () => void (left = Math.min(most, left + share)),
    spend: () => {
      if (left < 1) return false
      left -= 1
      return true
    },
  }
}
