/**
 * The live stream (`GET stream`, server-sent events), kept open: reconnects with growing pauses, and says what state it
 * is in so that the screen never shows stale data as live.
 */
import type { Finding } from './ocsf'
import type { Incident, Rate } from './types'

export type StreamState = 'connecting' | 'live' | 'waiting' | 'closed'

export interface StreamHandlers {
  finding?: (finding: Finding) => void
  incident?: (incident: Incident) => void
  rate?: (rate: Rate) => void
  /** `retryIn` is the pause in milliseconds while waiting. */
  state?: (state: StreamState, retryIn?: number) => void
}

/** First pause after a loss; doubled each time up to the last. */
const FIRST_PAUSE_MS = 1_000
const LAST_PAUSE_MS = 30_000

/** The pause before try number `attempt` (from 0), spread over half of itself so that many screens do not come at once. */
export function pauseBefore(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt)
  return Math.round(full / 2 + (random() * full) / 2)
}

export type MakeSource = (url: string) => EventSource

/** Opens the stream; the answer closes it for good. */
export function openStream(
  handlers: StreamHandlers,
  makeSource: MakeSource = (url) => new EventSource(url),
  random: () => number = Math.random,
): () => void {
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let attempt = 0
  let closed = false

  const connect = () => {
    timer = undefined
    handlers.state?.('connecting')
    const opened = makeSource('/api/v1/stream')
    source = opened
    opened.addEventListener('open', () => {
      attempt = 0
      handlers.state?.('live')
    })
    opened.addEventListener('error', () => {
      // The browser's own retry gives up on an HTTP error and has no back-off: ours replaces it.
      opened.close()
      if (closed || source !== opened) return
      source = undefined
      const pause = pauseBefore(attempt, random)
      attempt += 1
      handlers.state?.('waiting', pause)
      timer = setTimeout(connect, pause)
    })
    listen(opened, 'finding', handlers.finding)
    listen(opened, 'incident', handlers.incident)
    listen(opened, 'rate', handlers.rate)
  }

  connect()
  return () => {
    closed = true
    clearTimeout(timer)
    source?.close()
    handlers.state?.('closed')
  }
}

function listen<T>(source: EventSource, name: string, handler: ((data: T) => void) | undefined): void {
  if (!handler) return
  source.addEventListener(name, (event) => {
    const data: unknown = (event as MessageEvent).data
    if (typeof data !== 'string') return
    let message: T
    try {
      message = JSON.parse(data) as T
    } catch {
      return // A cut message: the next poll of the lists brings what it held.
    }
    handler(message)
  })
}
