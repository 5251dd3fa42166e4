// What is counted, for Prometheus: rate, errors and duration per operation, and what the parts say of themselves when asked.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

export type OperationMetrics = {
  /** One request answered. */
  observe(status: number, seconds: number): void
}

export type Metrics = {
  operation(name: string): OperationMetrics
  /** A number that is asked for whenever somebody looks. */
  gauge(name: string, help: string, read: () => number): void
  /** One number for each of several things that have a name. */
  gauges(name: string, help: string, label: string, read: () => Iterable<readonly [string, number]>): void
  counter(name: string, help: string): { add(n: number): void }
  histogram(name: string, help: string, buckets: readonly number[]): { observe(value: number): void }
  contentType: string
  text(): Promise<string>
}

/** From a cached read to what a caller gives up on. */
const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

export const openMetrics = ({ process: ofProcess }: { readonly process: boolean } = { process: true }): Metrics => {
  const registry = new Registry()
  // Memory, processor time, event-loop lag, garbage collection.
  if (ofProcess) collectDefaultMetrics({ register: registry })
  const requests = new Counter({
    name: 'requests_total',
    help: 'Requests answered, by operation and status.',
    labelNames: ['operation', 'status'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer.',
    labelNames: ['operation'],
    buckets: DURATION_BUCKETS_SECONDS,
    registers: [registry],
  })

  return {
    operation: (name) => {
      // Children are looked up once: finding one by its labels costs more than counting.
      const duration = durations.labels(name)
      const byStatus = new Map<number, { inc(): void }>()
      return {
        observe: (status, seconds) => {
          duration.observe(seconds)
          let child = byStatus.get(status)
          if (child === undefined) byStatus.set(status, (child = requests.labels(name, String(status))))
          child.inc()
        },
      }
    },
    gauge: (name, help, read) => {
      registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          collect() {
            this.set(read())
          },
        }),
      )
    },
    gauges: (name, help, label, read) => {
      registry.registerMetric(
        new Gauge({
          name,
          help,
          labelNames: [label],
          registers: [],
          collect() {
            this.reset()
            for (const [of, value] of read()) this.set({ [label]: of }, value)
          },
        }),
      )
    },
    counter: (name, help) => {
      const counter = new Counter({ name, help, registers: [registry] })
      return { add: (n) => counter.inc(n) }
    },
    histogram: (name, help, buckets) => {
      const histogram = new Histogram({ name, help, buckets: [...buckets], registers: [registry] })
      return { observe: (value) => histogram.observe(value) }
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  }
}
