// A bar on stderr for long work, drawn over itself. Where nobody watches, in a file or a pipe, nothing is drawn.
import { count } from './count.ts'

const BAR_WIDTH = 30
/** Drawn no more often than an eye can follow. */
const DRAW_EVERY_MS = 100

type Screen = { readonly isTTY?: boolean; readonly write: (text: string) => unknown }

export function createProgress({ screen, what, nowMs }: { screen: Screen; what: string; nowMs: () => number }) {
  const isWatched = screen.isTTY === true
  const startedMs = nowMs()
  let drawnMs = Number.NEGATIVE_INFINITY

  const clear = () => {
    if (isWatched) screen.write('\r\u001b[2K')
  }

  return {
    /** `share` is from 0 to 1, where the end is known; `done` counts what it is about. */
    draw({ share, done }: { share?: number; done: number }) {
      if (!isWatched || nowMs() - drawnMs < DRAW_EVERY_MS) return
      drawnMs = nowMs()
      const perSecond = Math.round((done * 1_000) / Math.max(1, drawnMs - startedMs))
      clear()
      screen.write(`${share === undefined ? '' : bar(share)}${count(done)} ${what}, ${count(perSecond)} a second`)
    },

    /** Takes the bar away, so that something else can be written; the next `draw` brings it back. */
    clear() {
      clear()
      drawnMs = Number.NEGATIVE_INFINITY
    },
  }
}

const bar = (share: number) => {
  const full = Math.round(Math.min(1, share) * BAR_WIDTH)
  return `[${'#'.repeat(full)}${'-'.repeat(BAR_WIDTH - full)}] ${Math.floor(share * 100)} %  `
}
