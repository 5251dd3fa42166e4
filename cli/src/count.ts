/** Its digits in threes: 371,000. */
export const count = (number: number) => number.toLocaleString('en-GB')
