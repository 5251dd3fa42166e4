// What is answered with 202: it was taken, and will be done.
import { Type } from 'typebox'

export const accepted = Type.Object(
  {
    object: Type.Literal('accepted'),
    operation: Type.String({ description: 'Such as `receipts.create`.' }),
    idempotency_key: Type.String({ description: 'The same request with this key answers what became of it, once it has been done.' }),
    detail: Type.String(),
  },
  { description: 'The database cannot be reached. What is told here has happened, and does not need to be decided: it is kept by the broker, and done once.' },
)
