/** The queries that were searched last on this browser, newest first. */
import { shallowRef } from 'vue'

const KEY = 'wanglou.searches'
const KEPT = 30

function stored(): string[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]')
    return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string').slice(0, KEPT) : []
  } catch {
    return []
  }
}

export const searches = shallowRef<readonly string[]>(stored())

export function remember(query: string): void {
  const asked = query.trim()
  if (asked === '') return
  keep([asked, ...searches.value.filter((one) => one !== asked)].slice(0, KEPT))
}

export function forgetSearches(): void {
  keep([])
}

function keep(next: readonly string[]): void {
  searches.value = next
  try {
    localStorage.setItem(KEY, JSON.stringify(next))
  } catch {
    // Storage is full or forbidden: remembered until the page is left.
  }
}
