/** The one live stream of this page: what it brought last, and how fresh the screen is. */
import { reactive, shallowRef } from 'vue'
import { uidOfFinding, type Finding } from '@/api/ocsf'
import { openStream, type StreamState } from '@/api/stream'
import { severityOfId, type Severity } from './severity'

/** How many findings the live feed keeps. */
const KEPT = 100
/** How many rate samples the small curve keeps. */
const KEPT_RATES = 120
/** Lists are asked anew at most this often when the stream says that something changed. */
const REFRESH_EVERY_MS = 3_000

export interface LiveFinding {
  uid: string
  severity: Severity
  at: number
  finding: Finding
}

export const live = reactive({
  state: 'closed' as StreamState,
  retryAt: 0,
  perSecond: null as number | null,
  /** Lines logged that wait for detection. */
  inFlight: 0,
  paused: false,
  /** Findings that came while the feed was paused. */
  held: 0,
})

export const liveFindings = shallowRef<LiveFinding[]>([])
/** Events a second, oldest first. */
export const liveRates = shallowRef<number[]>([])

let waiting: LiveFinding[] = []
let close: (() => void) | undefined

/** Opens the stream if it is not open; `changed` is called, not too often, when lists should be asked anew. */
export function startLive(changed: () => void): void {
  if (close) return
  let due: ReturnType<typeof setTimeout> | undefined
  const refresh = () => {
    due ??= setTimeout(() => {
      due = undefined
      changed()
    }, REFRESH_EVERY_MS)
  }
  const stop = openStream({
    state: (state, retryIn) => {
      live.state = state
      live.retryAt = retryIn ? Date.now() + retryIn : 0
      if (state !== 'live') live.perSecond = null
    },
    finding: (finding) => {
      take(finding)
      refresh()
    },
    incident: refresh,
    rate: ({ events, in_flight: inFlight }) => {
      live.perSecond = events
      live.inFlight = inFlight
      liveRates.value = [...liveRates.value, events].slice(-KEPT_RATES)
    },
  })
  close = () => {
    clearTimeout(due)
    stop()
  }
}

export function stopLive(): void {
  close?.()
  close = undefined
  waiting = []
  liveFindings.value = []
  live.held = 0
}

function take(finding: Finding): void {
  const uid = uidOfFinding(finding)
  const item = { uid, severity: severityOfId(finding.severity_id), at: finding.time ?? Date.now(), finding }
  if (live.paused) {
    waiting = prepend(item, waiting)
    live.held = waiting.length
  } else {
    liveFindings.value = prepend(item, liveFindings.value)
  }
}

// A re-evaluated finding comes with the same uid: it takes the place of the old one.
function prepend(item: LiveFinding, list: LiveFinding[]): LiveFinding[] {
  return [item, ...list.filter(({ uid }) => uid !== item.uid)].slice(0, KEPT)
}

/** Holds the feed still for reading, or lets what was held in. */
export function pauseLive(paused: boolean): void {
  live.paused = paused
  if (paused) return
  for (const item of waiting.toReversed()) liveFindings.value = prepend(item, liveFindings.value)
  waiting = []
  live.held = 0
}

/** Puts recent findings under the live ones, so that a fresh page does not start empty. */
export function seedLive(findings: readonly Finding[]): void {
  if (liveFindings.value.length > 0) return
  liveFindings.value = findings.slice(0, KEPT).map((finding) => ({
    uid: uidOfFinding(finding),
    severity: severityOfId(finding.severity_id),
    at: finding.time ?? 0,
    finding,
  }))
}
