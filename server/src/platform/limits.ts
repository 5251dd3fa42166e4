// Every bound of the server, with its unit in its name and its reason beside it. Nothing waits, grows or repeats without one.

export type GatewayLimits = {
  /** A document of 2,000 lines with long skus is about 400 KiB. */
  readonly bodyBytes: number
  /** A search text of 256 characters takes up to 3 KiB when it is percent-encoded. */
  readonly urlBytes: number
  readonly headerBytes: number
  /** A longer one is refused before the request is looked at any further. */
  readonly idempotencyKeyCharacters: number
  /** Requests being answered at a time. One more is told `overloaded` at once, while those before it are still served in good time. */
  readonly inFlight: number
  /** Server-sent event streams at a time: each costs a query every fraction of a second. */
  readonly streams: number
  readonly connections: number
  /** A request must have arrived whole by then, so that a slow sender does not keep a place. */
  readonly requestMs: number
  readonly headersMs: number
  /** Whoever is asked for an answer may take this long, with everybody they ask. Then nobody waits for it any more. */
  readonly answerMs: number
  /** Longer than the idle time of the proxies in front (nginx: 60 s, AWS: 60 s), so that it is they who close. */
  readonly keepAliveMs: number
  /** How often the three above are looked at. */
  readonly connectionCheckMs: number
  /** Proxies close what is silent for a minute; some for 30 s. */
  readonly heartbeatMs: number
  /** What is under way when the process is asked to end may take this long. Kubernetes kills after 30 s. */
  readonly drainMs: number
  /** A request that took longer is logged. */
  readonly slowMs: number
  /** Faults of one request that are told. Whoever sends 2,000 wrong lines learns the rule from the first of them. */
  readonly faultsTold: number
  /** Values in a body up to which all faults are looked for; beyond, only the first. A full document of 2,000 lines has 8,000. */
  readonly faultsSoughtInValues: number
  /** What a refusal that names no time of its own tells the caller to wait. */
  readonly retryAfterSeconds: number
  /** How often it is looked how late the event loop is. */
  readonly loopLookMs: number
  /** An event loop as late as this, look after look, has more to do than it can. */
  readonly loopLagMs: number
  /** Requests that take longer on average wait for each other; then as many are taken as are answered in this time. */
  readonly lateMs: number
  /** But never fewer than this: they fill the ledger's batches, and whatever makes these late is not what is asked of us. */
  readonly inFlightWhenLate: number
  /** Lines a second that tell of slow requests. When everything is slow, writing so of each would make it slower. */
  readonly slowLines: number
  /** A connection on which nothing moves is closed: longer than the time between requests, for those that never read their answer. */
  readonly silentMs: number
  /** A file that is being sent may pause this long: a laptop that changes its network is back by then. */
  readonly uploadIdleMs: number
  /** A sender that is refused may go on sending this long, to read the answer; then it is cut off. */
  readonly lingerMs: number
  /** How often it is asked anew whether whoever follows a stream or sends a file still may. */
  readonly admittedAgainMs: number
  readonly exports: ExportLimits
}

export type ExportLimits = {
  /** Exports at a time: each keeps a connection to the database busy. */
  readonly atATime: number
  /** How often one page is tried, when the ledger or its database is busy, and how long is waited between. */
  readonly pageTries: number
  readonly pageWaitMs: number
}

const gateway: GatewayLimits = {
  bodyBytes: 1_048_576,
  urlBytes: 4_096,
  headerBytes: 16_384,
  idempotencyKeyCharacters: 255,
  inFlight: 4_096,
  streams: 256,
  connections: 10_000,
  requestMs: 15_000,
  headersMs: 10_000,
  answerMs: 15_000,
  keepAliveMs: 75_000,
  connectionCheckMs: 5_000,
  heartbeatMs: 15_000,
  drainMs: 10_000,
  slowMs: 1_000,
  faultsTold: 100,
  faultsSoughtInValues: 20_000,
  retryAfterSeconds: 1,
  loopLookMs: 50,
  loopLagMs: 100,
  lateMs: 500,
  inFlightWhenLate: 512,
  slowLines: 10,
  silentMs: 120_000,
  exports: { atATime: 4, pageTries: 5, pageWaitMs: 500 },
  uploadIdleMs: 30_000,
  lingerMs: 2_000,
  admittedAgainMs: 1_000,
}

export type InsideLimits = {
  /** A call between two roles, with everything that is tried for it; the edge gives up no sooner. */
  readonly answerMs: number
  /** One try. A process that is paused keeps nobody longer than this, and another one is asked. */
  readonly tryMs: number
  readonly connectMs: number
  /** To one process, from all that ask it: calls, and streams of events. Each of them is bounded where it comes in. */
  readonly connections: number
  /** Who asks closes a connection that was idle for so long; who answers, much later: so no request meets a connection that closes. */
  readonly idleMs: number
  readonly keepAliveMs: number
  readonly headersMs: number
  /** A stream of events says this often that it is still there; one that has said nothing for longer has no other side any more. */
  readonly heartbeatMs: number
  readonly silentMs: number
  /** A call: the largest body of the edge, written with its caller. */
  readonly bodyBytes: number
  /** While a role that was there a moment ago is away, its callers wait so long for it to come back: a restart takes about a second. */
  readonly patienceMs: number
  readonly waitMs: number
  /**
   * Times that a process may fail in a row before it is left alone, until it says that it is ready; how often that is asked, and how
   * long it may take to say so: one that is only slow, on a machine that has too much to do, is not gone.
   */
  readonly failures: number
  readonly probeMs: number
  readonly probeAnswerMs: number
  /** Of what is asked, so much may be asked again when an answer was lost; and as many at once. */
  readonly retryShare: number
  readonly retriesMost: number
  /** What is under way when the process is asked to end may take this long. */
  readonly drainMs: number
}

const inside: InsideLimits = {
  answerMs: 15_000,
  tryMs: 5_000,
  connectMs: 500,
  connections: 10_000,
  idleMs: 1_000,
  keepAliveMs: 75_000,
  headersMs: 10_000,
  heartbeatMs: 5_000,
  silentMs: 15_000,
  bodyBytes: 2_097_152,
  patienceMs: 3_000,
  waitMs: 50,
  failures: 3,
  probeMs: 200,
  probeAnswerMs: 2_000,
  retryShare: 0.1,
  retriesMost: 100,
  drainMs: 10_000,
}

const log = {
  /** While the database is away, every part would say so several times a second, and every request as well. */
  everyMs: 10_000,
  kinds: 100,
} as const

const rateLimit = {
  /** Keys, people and addresses whose requests are counted at a time, at about 200 bytes each. */
  subjects: 100_000,
  /** Different limits that keys have. */
  rates: 1_000,
  /** How long Redis is left alone after it has failed. */
  redisAwayMs: 1_000,
} as const

const redis = {
  commandMs: 50,
  connectMs: 2_000,
  silenceMs: 2_000,
  reconnectMs: 2_000,
} as const

export type IdentityLimits = {
  /** A revoked key is refused after this long at the latest, in every process. */
  readonly keyCacheMs: number
  /** From this age on a key is asked for again while the old answer still serves, so that no request waits for it. */
  readonly keyRefreshMs: number
  /** How long after that has failed it is tried again. */
  readonly keyRetryMs: number
  readonly keysCached: number
  /** Unknown keys remembered, so that a client with a wrong key does not ask the database each time. */
  readonly unknownKeysCached: number
  /** Keys that wait to be looked up. They go together in one statement, so that made-up keys cannot use up the connections. */
  readonly lookups: number
  /** A database that has not found a key by then is as good as away: while it hangs, nobody who was known waits for it. */
  readonly lookUpMs: number
  /** `last_used_at` is told to the nearest minute and written off the requests' path. */
  readonly lastUsedMs: number
  /** Who did nothing for so long has gone and left the door open. */
  readonly sessionIdleMs: number
  /** A working day: then everybody says anew who they are. */
  readonly sessionLifeMs: number
  /** Of one user; the oldest end when there are more. */
  readonly sessionsOfUser: number
  /** Passwords that are hashed at a time: each takes 19 MiB and 30 ms of a core, and as many cores are left for everybody else. */
  readonly hashesAtOnce: number
  /** More than these in the queue are told to come back: about half a second of work. */
  readonly hashesWaiting: number
  readonly attempts: AttemptLimits
}

/** The tries that are free, then waits that double with each try up to the longest. */
type Patience = { readonly free: number; readonly firstWaitMs: number; readonly longestWaitMs: number }
export type AttemptLimits = {
  /** After so long without a try, all are forgotten. */
  readonly forgottenMs: number
  /** Signing in to one account. A minute at most: nobody guesses fifteen characters so, and nobody is shut out by others for long. */
  readonly account: Patience
  /** Signing in from one address, to whatever account. Many people may sit behind it. */
  readonly address: Patience
  /** Registering from one address. */
  readonly registration: Patience
  /** Rows forgotten at a time. */
  readonly forgottenAtOnce: number
}

const identity: IdentityLimits = {
  keyCacheMs: 5_000,
  keyRefreshMs: 3_000,
  keyRetryMs: 500,
  keysCached: 10_000,
  unknownKeysCached: 1_000,
  lookups: 1_000,
  lookUpMs: 2_000,
  lastUsedMs: 60_000,
  sessionIdleMs: 30 * 60_000,
  sessionLifeMs: 12 * 3_600_000,
  sessionsOfUser: 20,
  hashesAtOnce: 2,
  hashesWaiting: 20,
  attempts: {
    forgottenMs: 3_600_000,
    account: { free: 5, firstWaitMs: 1_000, longestWaitMs: 60_000 },
    address: { free: 50, firstWaitMs: 1_000, longestWaitMs: 300_000 },
    registration: { free: 10, firstWaitMs: 10_000, longestWaitMs: 3_600_000 },
    forgottenAtOnce: 5_000,
  },
}

/** OWASP's least for argon2id: 19 MiB, twice, one lane. About 30 ms here. */
const password = { memoryKiB: 19_456, passes: 2, lanes: 1, saltBytes: 16, hashBytes: 32 } as const

const lifecycle = {
  /** A part that has not stopped by then is left behind, and said so. The gateway has its own, longer one. */
  stopMs: 10_000,
  /** A start that meets a database that is going away waits for it, so long in all, and ends when it has not come back by then. */
  outage: { withinMs: 60_000, waits: { firstWaitMs: 100, longestWaitMs: 2_000 } },
} as const

const workers = {
  /** Processes behind one port. Beyond the cores there is nothing to gain. */
  most: 64,
  /** Before one that died is replaced; twice as long each time, and again at once after it ran for a while. */
  firstWaitMs: 100,
  longestWaitMs: 5_000,
  steadyMs: 30_000,
  /** One that does not take requests by then, or has not ended by then, is killed: longer than a migration, and than lingering and draining. */
  startMs: 300_000,
  endMs: 120_000,
} as const

const ledger = {
  /** Requests that wait for a batch. At 10,000 a second that is under half a second of work. */
  queue: 4_096,
  /** One transaction. Larger ones gain little, and make everybody in them wait longer. */
  batch: 256,
  /** Lines in one transaction: two documents of the largest size. */
  batchLines: 4_000,
  /** While one commits, the next locks and decides. A third would only wait for their locks. */
  inFlight: 2,
  /** Due holds that one short command has expired at a time. */
  due: 1_000,
  /** Times that it is decided again for that: a hundred thousand due holds of one item. */
  deferrals: 100,
  /** Times that a batch is run, with growing waits: about a third of a second. */
  attempts: 6,
  /**
   * How long after the first failure another attempt is begun. A server that hangs costs a silence, this, and one more try:
   * whoever asked is answered within a quarter of a minute.
   */
  patienceMs: 3_000,
} as const

const database = {
  /** Batches in flight, and one to spare for what comes after a lost connection. */
  ledgerPool: 3,
  /** Keys of callers, and names of items: no long list may keep these waiting. */
  lookUpPool: 3,
  /** What webhooks are to be sent, and what became of them. */
  webhookPool: 3,
  /** Relay and timers: they wait for their own, never for a request's. Each keeps one to lead with. */
  backgroundPool: 5,
  /** Nothing on a request's path takes this long unless something is wrong. */
  statementMs: 8_000,
  /** Of a batch. Whoever waits for it is to be told in good time that the database hangs, or a standby, so that they can ask again. */
  batchStatementMs: 5_000,
  /** Who holds a lock longer than this is stuck; the batch is run again. */
  lockMs: 1_000,
} as const

const catalog = {
  /** Skus remembered with what is needed to hold them: about 300 bytes each. */
  items: 200_000,
  /** While the database is away, all that is remembered of stock is taken for old this often, and not at every failure. */
  unsureMs: 5_000,
  /** How long another process may take to hear of an archived item. */
  refreshMs: 300,
  /** Changed items read at a time. */
  changes: 1_000,
} as const

const reads = {
  /** Items in one statement. */
  keys: 1_000,
  inFlight: 2,
} as const

const nextExpiry = {
  /** Levels whose next expiry is remembered, and for how long. */
  remembered: 10_000,
  ttlMs: 1_000,
  /** Active holds looked through for one level, the soonest first. */
  depth: 5_000,
} as const

const relay = {
  /** Outbox rows, and events of one row, read at a time. */
  rows: 100,
  events: 500,
  pollMs: 100,
  /** How often another process looks whether the leader is gone. */
  leaderPollMs: 1_000,
} as const

export type WebhookLimits = {
  /** Each has a queue and connections of its own. */
  readonly endpoints: number
  /** Requests to one endpoint at a time, from one process. At 50 ms each that is 160 a second. */
  readonly inFlight: number
  /** How soon what another process queued, or what has become due, is noticed. What this process queued is noticed at once. */
  readonly pollMs: number
  /** Whoever took a delivery has it this long: longer than an attempt can take. Then it is taken for dead, and another one tries. */
  readonly leaseMs: number
  /** Before the first attempt, and after each that failed: three days and some hours in all. */
  readonly waitsMs: readonly number[]
  /** By this part a wait is shorter or longer, so that those that failed together do not come back together. */
  readonly jitter: number
  /** The most that a receiver may ask for with Retry-After. */
  readonly longestRetryAfterMs: number
  /** One attempt, from looking its name up to the end of its answer. */
  readonly attemptMs: number
  readonly connectMs: number
  readonly lookUpMs: number
  /** Addresses of one name that are tried. */
  readonly addressesTried: number
  /** Idle connections are kept for the next delivery, but not so long that an address is trusted for ever. */
  readonly keepAliveMs: number
  /** Read of an answer, and kept of it. */
  readonly answerBytes: number
  readonly answerBytesKept: number
  /** Attempts of one delivery that are shown. */
  readonly attemptsKept: number
  /** An endpoint that has failed for so long, and so often, without one success between, is disabled. */
  readonly hopelessMs: number
  readonly hopelessFailures: number
  /** Events of a replay queued at a time. */
  readonly replayed: number
  /** The log of deliveries goes back this far. */
  readonly ageMs: number
  readonly forgotten: number
  readonly upkeepMs: number
  /** At the stop, attempts under way may take this long before they are given up, to be made again. */
  readonly drainMs: number
}

const seconds = 1_000
const minutes = 60 * seconds
const hours = 60 * minutes
const webhooks: WebhookLimits = {
  endpoints: 50,
  inFlight: 8,
  pollMs: 500,
  leaseMs: 45 * seconds,
  waitsMs: [0, 5 * seconds, 5 * minutes, 30 * minutes, 2 * hours, 5 * hours, 10 * hours, 14 * hours, 20 * hours, 24 * hours],
  jitter: 0.1,
  longestRetryAfterMs: 24 * hours,
  attemptMs: 15 * seconds,
  connectMs: 5 * seconds,
  lookUpMs: 3 * seconds,
  addressesTried: 4,
  keepAliveMs: 4 * seconds,
  answerBytes: 65_536,
  answerBytesKept: 1_024,
  attemptsKept: 20,
  hopelessMs: 72 * hours,
  hopelessFailures: 10,
  replayed: 500,
  ageMs: 30 * 24 * hours,
  forgotten: 5_000,
  upkeepMs: 60 * seconds,
  drainMs: 5 * seconds,
}

/** Keys are remembered for two days: the contract says at least one. */
const KEY_AGE_MS = 48 * 3_600_000

const timers = {
  sweepMs: 250,
  leaderPollMs: 1_000,
  sweep: 500,
  upkeepMs: 60_000,
  keyAgeMs: KEY_AGE_MS,
  keysForgotten: 5_000,
  monthsAhead: 3,
  /** Sooner than anybody scrapes /metrics, and one small query. */
  lookMs: 5_000,
  counted: 100_000,
} as const

const memory = {
  /**
   * How much the old part of the heap may grow beyond what was alive when it was last cleared, before it is cleared again. Left
   * to itself, V8 lets it grow to several times that: 130 MiB for 27 that were alive.
   */
  heapGrowthPercent: 100,
} as const

export type ImportLimits = {
  /** A file. A row of a catalogue has about 200 bytes. */
  readonly bytes: number
  readonly rows: number
  /** One row with its longest description and all its attributes has about 100,000. */
  readonly rowCharacters: number
  readonly columns: number
  /** One transaction. Its locks, and for the last part of it the head of the ledger, are held for some 30 ms. */
  readonly chunkRows: number
  /** A chunk of long rows ends earlier. */
  readonly chunkCharacters: number
  /** In one process. Each holds a chunk and its sender's buffers, a few MiB at most. */
  readonly atOnce: number
  /** A worker that has not been heard of for so long has died, and another may go on. */
  readonly leaseMs: number
  /** Times that a chunk is tried while the database is busy, with growing waits. */
  readonly attempts: number
  /** Rows that failed of which the reason is kept. */
  readonly errors: number
  /** Notes of which rows were done that are thrown away in one statement. */
  readonly forgotten: number
}

const imports: ImportLimits = {
  bytes: 1_073_741_824,
  rows: 5_000_000,
  rowCharacters: 131_072,
  columns: 200,
  chunkRows: 500,
  chunkCharacters: 524_288,
  atOnce: 4,
  leaseMs: 6_000,
  attempts: 6,
  errors: 10_000,
  forgotten: 10_000,
}

export type CacheLimits = {
  /** Items whose availability one process remembers, the least used forgotten first; about 500 bytes each with a few locations. */
  readonly keys: number
  readonly bytes: number
  /** Items of which it is remembered since when they are outdated, at about 100 bytes each. */
  readonly floors: number
  /** How long what was read is fresh while every change is heard of: no longer than an operator who has lost the broker may take to see it. */
  readonly ttlMs: number
  /** And where, or while, other processes change stock without our hearing of it. */
  readonly unheardTtlMs: number
  /** By up to this part it is shorter, so that what was read together is not read again together. */
  readonly jitter: number
  /** How long Redis remembers that something is outdated: longer than a statement may take, so that no late answer brings it back. */
  readonly floorMs: number
  /** Whoever reads what nobody has, reads it for all. If it has died, another one does so after this. */
  readonly leaseMs: number
  /** How long the others wait for it, and how often they look. Then they read themselves. */
  readonly leaseWaitMs: number
  readonly leaseLooks: number
  /** Keys in one command to Redis, which does nothing else meanwhile: about a millisecond. */
  readonly redisKeys: number
  /** How long Redis is left alone after it has failed. */
  readonly redisAwayMs: number
  /** Whoever could be given an old value does not wait longer than this for a new one. */
  readonly patienceMs: number
  /** While the database is away, one read in this time asks whether it is back. */
  readonly probeMs: number
}

const cache: CacheLimits = {
  keys: 50_000,
  bytes: 67_108_864,
  floors: 100_000,
  ttlMs: 60_000,
  unheardTtlMs: 1_000,
  jitter: 0.1,
  floorMs: 30_000,
  leaseMs: 500,
  leaseWaitMs: 10,
  leaseLooks: 5,
  redisKeys: 500,
  redisAwayMs: 1_000,
  patienceMs: 1_000,
  probeMs: 500,
}

/** Asked every five seconds, and once more at once when something has changed, a death is known within ten: 5 s + 2 s + 0.5 s + 2 s. */
const monitor = {
  lookMs: 5_000,
  /** Longer than any process that is well takes to say so. */
  askMs: 2_000,
  againMs: 500,
  /** Changes that are kept while the database is away and nobody can be told: a day of a database that goes every half hour. */
  changes: 100,
  /** Looks, and a statement that tells. Ended by the server sooner than the look gives up. */
  pool: 5,
  statementMs: 1_500,
  looks: { idleSeconds: 60, blockedSeconds: 5, standbyLagSeconds: 30, outboxLateSeconds: 10, outboxStuckSeconds: 60 },
  rabbit: { depth: 10_000, queues: 500, answerBytes: 4_194_304 },
  verification: {
    /** Every 15 minutes, but at most a tenth of the time: it reads all there is, and while it does, nothing that was deleted can be tidied up. */
    everyMs: 15 * 60_000,
    share: 0.1,
    /** One of its questions. A ledger with a hundred million entries is answered in less. */
    statementMs: 10 * 60_000,
    /** Whoever asks for one waits as long, and then reads what was found later. */
    waitMs: 10_000,
    /** One that runs, and one connection that ends it. */
    pool: 2,
    /** How often it is looked whether one is due. */
    pollMs: 5_000,
  },
} as const

const rabbit = {
  connectMs: 5_000,
  setUpMs: 10_000,
  /** A broker that says nothing for twice this is left. */
  heartbeatSeconds: 10,
  reconnect: { firstWaitMs: 100, longestWaitMs: 5_000 },
  closeMs: 1_000,
  /** A healthy broker confirms within milliseconds. One that hangs never does. */
  confirmMs: 5_000,
  /** Unconfirmed at a time: ten times as many messages a second as one by one, and little to tell again. */
  window: 256,
  /** More than a gateway lets in at a time would be a mistake of ours. */
  waiting: 4_096,
  eventsAhead: 500,
  /** Commands that one process works on at a time, of each queue: they join the ledger's batches. */
  commandsAtOnce: 64,
  /** When a role that takes commands is degraded: a command takes milliseconds, and what it waits for is away for longer than a failover takes. */
  stuck: { fullMs: 2 * 60_000, longestMs: 5 * 60_000 },
  /** Times that something is tried which fails for its own sake. */
  tries: 5,
  retry: { firstWaitMs: 100, longestWaitMs: 10_000 },
  /**
   * Deliveries after which a message is parked, because it may be what ends the processes that take it. Each time that a connection is
   * lost counts for what was under way, and so does each half hour that something is not answered because the database is away.
   */
  deliveries: 20,
  /** The same to RabbitMQ, which cannot tell that message from those beside it. */
  brokerDeliveries: 1_000,
  /** Of what is parked there is no other place, so this is as good as none: newer brokers drop after 20 where nothing is said. */
  parkingDeliveries: 1_000_000,
  /** Times that an answer is tried, some two minutes in all: a broker that starts again is there by then. */
  replyTries: 20,
  /** How long a command that we kept waits for stock: a receipt that was kept before it is done within the longest wait of a retry. */
  overtakenMs: 60_000,
  /** A day of ten a second, or an hour of two hundred and fifty. */
  commandsWaiting: 1_000_000,
  /** How often parked messages are counted, and up to how many. */
  lookMs: 5_000,
  counted: 100_000,
  /** What was sent again and has not come back for so long is forgotten. */
  resentAgeMs: 30 * 24 * 3_600_000,
  forgotten: 1_000,
  /** A command that was sent longer ago is not done by itself: an hour before its key may be forgotten, whatever clocks say. */
  commandAgeMs: KEY_AGE_MS - 3_600_000,
  /** Parked messages of nobody we know that are kept, of 2 KB each: somebody may have the broker's password and no key of ours. */
  strangers: 1_000,
} as const

export const limits = {
  monitor,
  rabbit,
  memory,
  log,
  gateway,
  inside,
  identity,
  password,
  lifecycle,
  workers,
  ledger,
  database,
  catalog,
  reads,
  nextExpiry,
  relay,
  timers,
  rateLimit,
  redis,
  imports,
  webhooks,
  cache,
} as const
