// Which faults a history has, and how many of them. Each seed draws its own mix: with everything on at once, no history would get far.
import type { Random } from './random.ts'

/** Probabilities, each asked once where it says. */
export type Faults = {
  /** Of a process, once a transaction. */
  readonly crashBeforeCommit: number
  readonly crashInCommit: number
  readonly crashAfterCommit: number
  readonly pause: number
  readonly drain: number
  /** Of a connection, once a transaction. */
  readonly commitLost: number
  readonly answerLost: number
  readonly cutInCommit: number
  readonly lostWhileLoading: number
  /** Of the database, once a transaction. */
  readonly refused: number
  readonly statementTimeout: number
  readonly stall: number
  readonly restart: number
  /** Of a restart: another machine with another clock takes over. */
  readonly clockStep: number
  /** Of the way between client and process, once an attempt. */
  readonly requestLost: number
  readonly replyLost: number
  readonly sentTwice: number
  /** Of a client: sends what it has sent before with another body. */
  readonly otherBody: number
}

/** Sizes that differ from history to history. */
export type Pace = {
  readonly hopMs: number
  readonly stepMs: number
  readonly networkMs: number
  readonly skewMs: number
}

export const noFaults: Faults = {
  crashBeforeCommit: 0,
  crashInCommit: 0,
  crashAfterCommit: 0,
  pause: 0,
  drain: 0,
  commitLost: 0,
  answerLost: 0,
  cutInCommit: 0,
  lostWhileLoading: 0,
  refused: 0,
  statementTimeout: 0,
  stall: 0,
  restart: 0,
  clockStep: 0,
  requestLost: 0,
  replyLost: 0,
  sentTwice: 0,
  otherBody: 0,
}

/** The most that a fault is drawn with, where it is on. */
const most: Faults = {
  crashBeforeCommit: 0.06,
  crashInCommit: 0.06,
  crashAfterCommit: 0.08,
  pause: 0.04,
  drain: 0.03,
  commitLost: 0.1,
  answerLost: 0.15,
  cutInCommit: 0.1,
  lostWhileLoading: 0.1,
  refused: 0.15,
  statementTimeout: 0.08,
  stall: 0.06,
  restart: 0.03,
  clockStep: 0.7,
  requestLost: 0.15,
  replyLost: 0.15,
  sentTwice: 0.25,
  otherBody: 0.15,
}

/** In half of the histories most faults are off, so that deep states are reached. */
export const drawFaults = (random: Random): Faults => {
  const probabilityOn = random.chance(0.5) ? 0.12 : 0.6
  const draw = (limit: number) => (random.chance(probabilityOn) ? random.fraction() * limit : 0)
  return {
    crashBeforeCommit: draw(most.crashBeforeCommit),
    crashInCommit: draw(most.crashInCommit),
    crashAfterCommit: draw(most.crashAfterCommit),
    pause: draw(most.pause),
    drain: draw(most.drain),
    commitLost: draw(most.commitLost),
    answerLost: draw(most.answerLost),
    cutInCommit: draw(most.cutInCommit),
    lostWhileLoading: draw(most.lostWhileLoading),
    refused: draw(most.refused),
    statementTimeout: draw(most.statementTimeout),
    stall: draw(most.stall),
    restart: draw(most.restart),
    clockStep: draw(most.clockStep),
    requestLost: draw(most.requestLost),
    replyLost: draw(most.replyLost),
    sentTwice: draw(most.sentTwice),
    otherBody: draw(most.otherBody),
  }
}

export const drawPace = (random: Random): Pace => ({
  hopMs: random.pick([0, 1, 1, 2, 5]),
  stepMs: random.pick([0, 1, 1, 2, 4]),
  networkMs: random.pick([0, 1, 3, 10, 40]),
  skewMs: random.chance(0.7) ? random.between(1, 2_000) : 0,
})
