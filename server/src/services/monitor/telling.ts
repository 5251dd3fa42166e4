// What went down and what came back, told as events: by one process, once, and afterwards when the database was what was away.
import { loop, type Loop } from '../../platform/loop.ts'
import { leader } from '../../storage/leader.ts'
import type { Pool } from '../../storage/pool.ts'
import { iso } from '../answer.ts'
import type { Board } from './board.ts'
import { up, type Change } from './component.ts'
import { about } from './render.ts'
import { tellState, toldStates } from './store.ts'

export type Telling = Pick<Loop, 'start' | 'failing' | 'wake' | 'stop'>

export const telling = ({
  pool,
  board,
  pollMs,
  onFault,
}: {
  readonly pool: Pool
  readonly board: Board
  readonly pollMs: number
  readonly onFault: (error: unknown) => void
}): Telling => {
  const leadership = leader(pool, 'monitor')

  const tell = async (change: Change, term: number): Promise<void> => {
    const isDown = change.state === 'down'
    const { name, state, since, why } = change
    await tellState(
      pool,
      { name, isDown, since, term },
      { type: isDown ? 'service.down' : 'service.up', data: { object: 'component', name, state, since: iso(since), why, ...about(name) } },
    )
  }

  const running = loop({
    step: async () => {
      // Seen before it is asked who leads: whoever does has seen it, too, or will.
      const changes = board.changes()
      const term = await leadership.term()
      if (term === undefined) {
        board.forget(changes)
        return pollMs
      }
      for (const change of changes) {
        await tell(change, term)
        board.forget([change])
      }
      // What another leader saw and could not tell any more, and what is not there any more.
      const told = new Map((await toldStates(pool)).map(({ name, isDown }) => [name, isDown]))
      if (board.changes().length === 0)
        for (const standing of [...board.standing(), ...board.absent().map((one) => ({ ...one, ...up }))])
          if ((told.get(standing.name) ?? false) !== (standing.state === 'down')) await tell(standing, term)
      return pollMs
    },
    onFault,
    afterFaultMs: pollMs,
  })

  return {
    start: running.start,
    wake: running.wake,
    failing: running.failing,
    stop: async () => {
      await running.stop()
      await leadership.resign()
    },
  }
}
