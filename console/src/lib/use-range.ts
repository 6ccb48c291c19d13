/** The page's time range, kept in its address. */
import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { boundsOf, queryOfRange, rangeOfQuery, type Last, type Range } from './range'

const MINUTE_MS = 60_000

export function useRange(fallback: Last) {
  const route = useRoute()
  const router = useRouter()
  // The same range stays the same object when other parts of the address change: what hangs on it is not asked anew.
  const range = computed<Range>((before) => {
    const next = rangeOfQuery(route.query, fallback)
    return before && JSON.stringify(before) === JSON.stringify(next) ? before : next
  })

  /** The ends as the server wants them, counted from the end of this minute, so that charts start on whole minutes. */
  function bounds(): { from: string; to: string } {
    const { from, to } = boundsOf(range.value, Math.ceil(Date.now() / MINUTE_MS) * MINUTE_MS)
    return { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
  }

  function setRange(next: Range): void {
    void router.push({ query: { ...route.query, ...queryOfRange(next), cursor: undefined } })
  }

  return { range, bounds, setRange }
}
