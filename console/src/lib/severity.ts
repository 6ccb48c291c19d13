/** Severity names in the order people queue them: worst first. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'informational'] as const

export type Severity = (typeof SEVERITIES)[number]

/** OCSF `severity_id`: 5 and 6 (fatal) are critical; unknown, other and 1 are informational. */
export function severityOfId(id: number | undefined): Severity {
  switch (id) {
    case 6:
    case 5:
      return 'critical'
    case 4:
      return 'high'
    case 3:
      return 'medium'
    case 2:
      return 'low'
    default:
      return 'informational'
  }
}

/** A severity by name; anything else counts as informational rather than hiding the row. */
export function severityOfName(name: string | undefined): Severity {
  return SEVERITIES.find((severity) => severity === name?.toLowerCase()) ?? 'informational'
}

/** The CSS variable that colours its mark. */
export function severityToken(severity: Severity): string {
  return `var(--severity-${severity})`
}

/** Counts by severity, worst first, zero where the server left a name out. */
export function bySeverity(counts: Record<string, number> | undefined): { severity: Severity; count: number }[] {
  return SEVERITIES.map((severity) => ({ severity, count: counts?.[severity] ?? 0 }))
}
