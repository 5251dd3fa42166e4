// What a browser may do with what we answer: for data nothing at all, for pages only what they need. Made once, and not for each request.

const everywhere = {
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
} as const

/**
 * Data: not to be kept, and inert even when somebody opens it as a page. What only matters for a page that runs or links is left
 * out: every header is looked at and written for every answer.
 */
export const dataHeaders: Readonly<Record<string, string>> = Object.freeze({
  ...everywhere,
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
})

/** Pages that run nothing and load nothing; `style` is the digest of the one style that stands in them. */
export const pageHeaders = ({ style }: { readonly style: string }): Readonly<Record<string, string>> =>
  Object.freeze({
    ...everywhere,
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    // Nothing of ours asks for a camera.
    'permissions-policy': 'accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()',
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'content-security-policy': `default-src 'none'; style-src 'sha256-${style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  })

/** Said only over TLS, as its RFC wants it: a year, for every name below this one, too. */
export const STRICT_TRANSPORT = 'max-age=31536000; includeSubDomains'
