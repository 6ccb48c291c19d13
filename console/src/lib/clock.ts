/** One clock for all relative times, so that a screen of hundreds of them costs one timer. */
import { shallowRef } from 'vue'

const TICK_MS = 10_000

/** Now, in milliseconds, moving every ten seconds. */
export const now = shallowRef(Date.now())

setInterval(() => {
  now.value = Date.now()
}, TICK_MS)
