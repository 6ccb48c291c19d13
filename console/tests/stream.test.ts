import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openStream, pauseBefore, type StreamState } from '@/api/stream'

/** An EventSource under the test's control. */
class FakeSource extends EventTarget {
  static readonly opened: FakeSource[] = []
  closed = false

  constructor(readonly url: string) {
    super()
    FakeSource.opened.push(this)
  }

  close(): void {
    this.closed = true
  }

  tell(name: string, data: string): void {
    this.dispatchEvent(new MessageEvent(name, { data }))
  }
}

const latest = () => FakeSource.opened.at(-1) as FakeSource
const make = (url: string) => new FakeSource(url) as unknown as EventSource

describe('the live stream', () => {
  beforeEach(() => {
    FakeSource.opened.length = 0
    vi.useFakeTimers()
  })
  afterEach(() => vi.useRealTimers())

  it('hands on what the server tells', () => {
    const rates: number[] = []
    openStream({ rate: ({ events }) => rates.push(events) }, make)
    latest().tell('rate', '{"events": 31, "findings": 0, "in_flight": 0}')
    latest().tell('rate', '{"events": ')
    latest().tell('rate', '{"events": 7, "findings": 0, "in_flight": 0}')
    expect(rates).toEqual([31, 7])
  })

  it('reconnects with growing pauses, and starts over after a success', () => {
    const states: [StreamState, number | undefined][] = []
    openStream({ state: (state, retryIn) => states.push([state, retryIn]) }, make, () => 1)
    latest().dispatchEvent(new Event('open'))
    latest().dispatchEvent(new Event('error'))
    vi.advanceTimersByTime(999)
    expect(FakeSource.opened).toHaveLength(1)
    vi.advanceTimersByTime(1)
    expect(FakeSource.opened).toHaveLength(2)
    latest().dispatchEvent(new Event('error'))
    vi.advanceTimersByTime(2_000)
    latest().dispatchEvent(new Event('open'))
    latest().dispatchEvent(new Event('error'))
    expect(states).toEqual([
      ['connecting', undefined],
      ['live', undefined],
      ['waiting', 1_000],
      ['connecting', undefined],
      ['waiting', 2_000],
      ['connecting', undefined],
      ['live', undefined],
      ['waiting', 1_000],
    ])
    expect(FakeSource.opened.every(({ closed }) => closed)).toBe(true)
  })

  it('stays closed once closed', () => {
    const close = openStream({}, make)
    latest().dispatchEvent(new Event('error'))
    close()
    vi.advanceTimersByTime(120_000)
    expect(FakeSource.opened).toHaveLength(1)
  })

  it('never waits longer than half a minute, nor less than half of its step', () => {
    expect(pauseBefore(0, () => 0)).toBe(500)
    expect(pauseBefore(3, () => 1)).toBe(8_000)
    expect(pauseBefore(60, () => 1)).toBe(30_000)
  })
})
