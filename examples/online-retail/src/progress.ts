// Tells on stderr how far the replay is: a bar where someone watches, a line now and then where a log is kept.

/** A bar moves smoothly from ten times a second on. */
const BAR_EVERY_MS = 100
const LINE_EVERY_MS = 5_000
const BAR_CHARACTERS = 30

export type Progress = {
  /** What is counted from here on, and how much of it there is. */
  readonly phase: (name: string, total: number) => void
  readonly advance: (count: number) => void
  /** Something a person should know now. */
  readonly say: (text: string) => void
  /** No more bar: what comes next stands on a line of its own. */
  readonly end: () => void
}

type Surroundings = {
  readonly write: (text: string) => void
  readonly isTerminal: boolean
  readonly nowMs: () => number
}

export const progressOn = ({ write, isTerminal, nowMs }: Surroundings): Progress => {
  const everyMs = isTerminal ? BAR_EVERY_MS : LINE_EVERY_MS
  let name = ''
  let total = 0
  let done = 0
  let begunMs = 0
  let shownMs = 0
  let isBarShown = false

  const show = () => {
    shownMs = nowMs()
    const seconds = Math.max(0.001, (shownMs - begunMs) / 1_000)
    const rate = done / seconds
    const left = done === 0 || done >= total ? '' : `, ${Math.ceil((total - done) / rate)} s left`
    const share = total === 0 ? 1 : done / total
    const told = `${name}  ${Math.floor(share * 100)}%  ${grouped(done)} of ${grouped(total)}, ${grouped(Math.round(rate))}/s${left}`
    if (!isTerminal) return write(`${told}\n`)
    const full = Math.round(share * BAR_CHARACTERS)
    write(`${CLEAR_LINE}[${'#'.repeat(full)}${'.'.repeat(BAR_CHARACTERS - full)}]  ${told}`)
    isBarShown = true
  }

  const end = () => {
    if (isBarShown) write('\n')
    isBarShown = false
  }

  return {
    phase: (phase, count) => {
      end()
      name = phase
      total = count
      done = 0
      begunMs = nowMs()
      shownMs = begunMs
      if (isTerminal) show()
    },
    advance: (count) => {
      done += count
      if (done >= total || nowMs() - shownMs >= everyMs) show()
    },
    say: (text) => {
      write(isBarShown ? `${CLEAR_LINE}${text}\n` : `${text}\n`)
      if (isBarShown) show()
    },
    end,
  }
}

const CLEAR_LINE = '\r\u001b[2K'

/** 370,931 rather than 370931, whatever the machine's language. */
export const grouped = (value: number): string => value.toLocaleString('en-GB')
