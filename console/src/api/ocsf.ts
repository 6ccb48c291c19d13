/** The parts of OCSF bodies that the console reads. Everything is optional: the bodies come out of other people's logs. */

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

export type JsonObject = { [key: string]: Json }

/** One matched field: the smallest proof of a finding. */
export interface FieldMatch {
  field: string
  value: string
  pattern: string
  selection: string
}

export interface EvidenceData {
  file?: string | null
  record?: number | null
  matches?: FieldMatch[]
  event_uid?: string
  time?: string | number
  product?: string
}

export interface Evidence {
  data?: EvidenceData
  [artifact: string]: unknown
}

interface Named {
  uid?: string
  name?: string
}

export interface Attack {
  tactic?: Named
  technique?: Named
  sub_technique?: Named
}

export interface Observable {
  name?: string
  type_id?: number
  value?: string
}

/** An event that a correlation counted. */
export interface CorrelatedEvent {
  /** Id and title. */
  rule?: string[]
  event?: string
  time?: string | number
  place?: { file: string; record: number } | null
}

/** What a correlation counted, and what that was compared with. */
export interface Correlation {
  kind?: string
  condition?: string
  timespan_secs?: number
  reached?: number
  /** Relative standard error, when `reached` is an estimate. */
  error?: number | null
  events?: CorrelatedEvent[]
}

/** OCSF Detection Finding (class 2004), as Wanglou writes it. */
export interface Finding {
  severity_id?: number
  time?: number
  start_time?: number
  end_time?: number
  count?: number
  metadata?: { uid?: string }
  finding_info?: {
    uid?: string
    title?: string
    desc?: string
    attacks?: Attack[]
    analytic?: { uid?: string; name?: string; version?: string }
    related_events?: { uid?: string }[]
    related_events_count?: number
    src_url?: string | null
    types?: string[]
  }
  evidences?: Evidence[]
  observables?: Observable[]
  unmapped?: {
    direction?: string
    outcome?: string
    outcome_proof?: string
    title_zh?: string | null
    description_zh?: string | null
    falsepositives?: string[]
    group?: { field: string; value: string }[]
    correlation?: Correlation | null
    incident?: string | null
  }
}

/** An OCSF event of any class. */
export interface OcsfEvent {
  class_uid?: number
  class_name?: string
  activity_name?: string
  severity_id?: number
  time?: number
  message?: string
  raw_data?: string
  metadata?: {
    uid?: string
    logged_time?: number
    log_provider?: string
    product?: { name?: string; vendor_name?: string; uid?: string }
  }
  [attribute: string]: unknown
}

export function uidOfFinding(finding: Finding): string {
  return finding.finding_info?.uid ?? finding.metadata?.uid ?? ''
}

/** The rule's title in the language of the screen, as far as the rule carries it. */
export function titleOf(finding: Finding, locale: string): string {
  const zh = finding.unmapped?.title_zh
  const en = finding.finding_info?.title ?? finding.finding_info?.analytic?.name ?? uidOfFinding(finding)
  return locale.startsWith('zh') && zh ? zh : en
}

export function descriptionOf(finding: Finding, locale: string): string {
  const zh = finding.unmapped?.description_zh
  return locale.startsWith('zh') && zh ? zh : (finding.finding_info?.desc ?? '')
}

/** The tactics of a finding, each once, in its own order. */
export function tacticsOf(finding: Finding): string[] {
  const uids = (finding.finding_info?.attacks ?? []).flatMap((attack) => attack.tactic?.uid ?? [])
  return [...new Set(uids)]
}

/** The techniques of a finding, each once, the sub-technique where there is one. */
export function techniquesOf(finding: Finding): { uid: string; name: string }[] {
  const found = new Map<string, { uid: string; name: string }>()
  for (const { technique, sub_technique: sub } of finding.finding_info?.attacks ?? []) {
    const uid = sub?.uid ?? technique?.uid
    if (!uid) continue
    const name = [technique?.name, sub?.name].filter(Boolean).join(': ')
    found.set(uid, { uid, name })
  }
  return [...found.values()]
}

/** The things a finding is about. */
export function entitiesOf(finding: Finding): { kind: string; value: string }[] {
  return (finding.observables ?? []).flatMap(({ name, value }) => (name && value ? [{ kind: name, value }] : []))
}

/** Flattens a body to dotted paths, lists repeating the path, so that two views of one record can be laid side by side. */
export function flatten(value: unknown, path = ''): [string, string][] {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) return value.flatMap((item) => flatten(item, path))
  if (typeof value === 'object') {
    return Object.entries(value).flatMap(([key, inner]) => flatten(inner, path ? `${path}.${key}` : key))
  }
  return [[path, String(value)]]
}
