/** The server's answers under the names the console uses. OCSF bodies are described in ocsf.ts. */
import type { components } from './schema'

type Schemas = components['schemas']

export type Change = Schemas['ChangeInfo']
/** How correlation rules stand. */
export type Correlating = Schemas['CorrelationHealth']
export type Histogram = Schemas['Histogram']
export type Incident = Schemas['IncidentInfo']
export type IncidentEntity = Schemas['IncidentEntityInfo']
export type IncidentState = Schemas['IncidentState']
export type LedgerHour = Schemas['LedgerHour']
export type LedgerLine = Schemas['LedgerLine']
export type NewSuppression = Schemas['NewSuppression']
export type PathStep = Schemas['PathStepInfo']
/** `rate` messages of the stream, one a second. */
export type Rate = Schemas['Rate']
export type Rule = Schemas['RuleEntry']
export type RuleList = Schemas['RuleList']
export type Source = Schemas['SourceInfo']
export type SourceWarning = Schemas['SourceWarning']
export type Suppression = Schemas['SuppressionInfo']
export type TimelineItem = Schemas['TimelineItem']
export type User = Schemas['UserInfo']

/** The states of an incident in the order of its life. */
export const INCIDENT_STATES = ['new', 'in_progress', 'on_hold', 'resolved', 'closed'] as const satisfies readonly IncidentState[]
