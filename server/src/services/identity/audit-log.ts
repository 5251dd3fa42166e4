// Reading who did what. It is written where it is done: see storage/audit.ts.
import { encodeId, type Uuid } from '../../domain/ids.ts'
import { listAudit } from '../../storage/audit.ts'
import { byId, guarded, pageOf, placeOf } from '../answer.ts'
import type { Handlers } from '../service.ts'
import type { Parts } from './parts.ts'

export const auditHandlers = ({ pool }: Pick<Parts, 'pool'>): Handlers['audit_log'] =>
  guarded({
    list: ({ query }) =>
      pageOf(
        query,
        byId(async (limit) =>
          (
            await listAudit(pool, {
              actor: query.actor ?? null,
              action: query.action ?? null,
              subject: query.subject ?? null,
              since: query.since === undefined ? null : Date.parse(query.since),
              until: query.until === undefined ? null : Date.parse(query.until),
              before: placeOf('audit_entry', query.starting_after),
              limit,
            })
          ).map((entry) => ({
            object: 'audit_entry' as const,
            id: encodeId('audit_entry', entry.id as Uuid), // the column is a uuid
            occurred_at: new Date(entry.occurredAt).toISOString(),
            actor: entry.actor,
            action: entry.action,
            subject: { object: entry.subjectKind, id: entry.subjectId },
            address: entry.address,
            request_id: entry.requestId,
            changes: { ...entry.changes },
          })),
        ),
      ),
  })
