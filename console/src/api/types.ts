/** What the HTTP API answers (`/api/v1`). OCSF bodies are described in ocsf.ts. */
import type { Finding, OcsfEvent } from './ocsf'

export interface User {
  name: string
  role: string
}

export interface Bucket {
  /** RFC 3339, the bucket's start. */
  time: string
  count: number
  by_severity?: Record<string, number>
}

export interface Histogram {
  bucket_ms: number
  buckets: Bucket[]
}

export interface Tactic {
  uid: string
  name: string
  name_zh: string
}

export interface EntityCount {
  kind: string
  value: string
  findings: number
}

export interface RuleCount {
  id: string
  title: string
  title_zh?: string | null
  severity: string
  findings: number
}

export interface Source {
  name: string
  kind: string
  created: string
  last_seen?: string | null
  received: number
}

export interface Overview {
  events: { total: number; per_second: number; histogram: Histogram }
  findings: {
    total: number
    by_severity: Record<string, number>
    by_tactic: { tactic: Tactic; findings: number }[]
    histogram: Histogram
  }
  incidents: { open: number; by_severity: Record<string, number> }
  top_entities: EntityCount[]
  top_rules: RuleCount[]
  sources: Source[]
}

export interface EventPage {
  events: OcsfEvent[]
  next_cursor?: string | null
  took_ms: number
}

export interface FindingPage {
  findings: Finding[]
  next_cursor?: string | null
}

export const INCIDENT_STATES = ['new', 'in_progress', 'on_hold', 'resolved', 'closed'] as const

export type IncidentState = (typeof INCIDENT_STATES)[number]

export interface IncidentEntity {
  kind: string
  value: string
  role: string
  findings: number
}

export interface Change {
  at: string
  by: string
  kind: 'opened' | 'state' | 'note' | 'severity'
  from?: string
  to?: string
  note?: string
}

export interface Incident {
  id: string
  title: string
  title_zh: string
  severity: string
  state: IncidentState
  opened: string
  updated: string
  first_seen: string
  last_seen: string
  finding_count: number
  entities: IncidentEntity[]
  tactics: Tactic[]
  history: Change[]
}

export interface IncidentPage {
  incidents: Incident[]
  next_cursor?: string | null
  counts: { by_state: Record<string, number>; by_severity: Record<string, number> }
}

export interface TimelineItem {
  at: string
  kind: 'finding' | 'change'
  title?: string
  title_zh?: string
  severity?: string
  finding_uid?: string
  count?: number
  change?: Change
}

export interface PathStep {
  tactic: Tactic
  techniques: { uid: string; name: string }[]
  findings: number
  first_seen: string
  last_seen: string
}

export interface IncidentStory {
  incident: Incident
  findings: Finding[]
  timeline: TimelineItem[]
  attack_path: PathStep[]
}

export interface LedgerLine {
  source: string
  received: number
  stored: number
  rejected: number
  evaluated: number
  in_flight: number
  events: number
  duplicates: number
  balanced: boolean
}

export interface DeadLetter {
  source: string
  arrived: string
  reason: string
  text: string
  bytes: number
}

export interface Health {
  status: string
  version: string
  uptime_s: number
}

/** `rate` messages of the stream, one a second. */
export interface Rate {
  events: number
  findings: number
  in_flight: number
}
