// Signatures as the Standard Webhooks specification has them, so that every receiver's library can verify them.
import { createHmac, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'
/** The specification allows 24 to 64. */
const SECRET_BYTES = 32

export const newSecret = (): string => `${PREFIX}${randomBytes(SECRET_BYTES).toString('base64')}`

export type Message = { readonly id: string; readonly timestampSeconds: number; readonly body: Buffer }

/** The headers that go with a message: one signature for each secret, the newest first. */
export const signedHeaders = ({ id, timestampSeconds, body }: Message, secrets: readonly string[]): Record<string, string> => ({
  'webhook-id': id,
  'webhook-timestamp': String(timestampSeconds),
  'webhook-signature': secrets.map((secret) => `v1,${signature(`${id}.${timestampSeconds}.`, body, secret)}`).join(' '),
})

const signature = (before: string, body: Buffer, secret: string): string =>
  createHmac('sha256', Buffer.from(secret.slice(PREFIX.length), 'base64'))
    .update(before)
    .update(body)
    .digest('base64')
