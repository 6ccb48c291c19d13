/**
 * Log text is hostile. It is only ever rendered as text nodes; here the characters that a screen would hide or obey
 * (controls, bidirectional overrides, zero-width and other format characters) are told apart, so that they can be shown.
 */

/** A run of a value: ordinary text, or one character that has to be made visible. */
export interface TextRun {
  text: string
  /** `U+202E`, for characters shown in place of themselves. */
  code?: string
  /** Part of what the rule asked for. */
  hit?: boolean
}

// C0 and C1 controls but for tab and line feed, soft hyphen, Arabic letter mark, Hangul fillers, Mongolian vowel
// separator, zero-width and directional marks, line and paragraph separators, invisible operators, byte order mark,
// interlinear anchors, tag characters.
const HIDDEN =
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu

function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** Splits a value so that every hidden character stands alone with its code. */
export function visibleRuns(value: string): TextRun[] {
  const runs: TextRun[] = []
  let from = 0
  for (const match of value.matchAll(HIDDEN)) {
    if (match.index > from) runs.push({ text: value.slice(from, match.index) })
    runs.push({ text: match[0], code: codeOf(match[0]) })
    from = match.index + match[0].length
  }
  if (from < value.length) runs.push({ text: value.slice(from) })
  return runs
}

/** A value as plain text for places that take only a string (titles, chart labels, the clipboard preview). */
export function visibleText(value: string): string {
  return visibleRuns(value)
    .map((run) => (run.code ? `⟨${run.code}⟩` : run.text))
    .join('')
}

/** Marks every occurrence of `needles` in a value, without regard to case; hidden characters are split out as well. */
export function highlightRuns(value: string, needles: readonly string[]): TextRun[] {
  const spans = hitSpans(value, needles)
  const runs: TextRun[] = []
  let from = 0
  for (const [start, end] of spans) {
    runs.push(...visibleRuns(value.slice(from, start)))
    runs.push(...visibleRuns(value.slice(start, end)).map((run) => ({ ...run, hit: true })))
    from = end
  }
  runs.push(...visibleRuns(value.slice(from)))
  return runs
}

function hitSpans(value: string, needles: readonly string[]): [number, number][] {
  const lower = value.toLowerCase()
  // Lower-casing may change the length (İ): positions would be wrong, so nothing is marked.
  if (lower.length !== value.length) return []
  const spans: [number, number][] = []
  for (const needle of needles) {
    const wanted = needle.toLowerCase()
    if (wanted === '') continue
    for (let at = lower.indexOf(wanted); at !== -1; at = lower.indexOf(wanted, at + wanted.length)) {
      spans.push([at, at + wanted.length])
    }
  }
  spans.sort(([a], [b]) => a - b)
  const merged: [number, number][] = []
  for (const [start, end] of spans) {
    const last = merged.at(-1)
    if (last && start <= last[1]) last[1] = Math.max(last[1], end)
    else merged.push([start, end])
  }
  return merged
}

/**
 * The literal parts of a Sigma pattern as the rule writes it (`Image|endswith: '\cmd.exe'`): what of a value can be
 * marked. Wildcards split it; a regular expression or an address range has no literal to mark.
 */
export function patternLiterals(pattern: string): string[] {
  const at = pattern.indexOf(':')
  const field = at === -1 ? '' : pattern.slice(0, at)
  if (/\|(re|cidr|lt|lte|gt|gte|exists|base64|base64offset|fieldref|expand)\b/.test(field)) return []
  let text = (at === -1 ? pattern : pattern.slice(at + 1)).trim()
  const quote = text[0]
  if ((quote === "'" || quote === '"') && text.endsWith(quote) && text.length >= 2) text = text.slice(1, -1)
  return text
    .split(/(?<!\\)[*?]+/)
    .map((part) => part.replaceAll(/\\([*?\\])/g, '$1'))
    .filter((part) => part.length > 0)
}
