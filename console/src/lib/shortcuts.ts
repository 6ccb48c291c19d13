/** Keys: single letters act when nobody is typing; `g` and a letter goes to a page. */
import { onBeforeUnmount, onMounted } from 'vue'

/** The second key of a `g` pair must follow within this time. */
const PAIR_WITHIN_MS = 1_200

function isTyping(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true
  const target = event.target
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

/** Calls the handler named by the key (`j`, `?`, `g i`) while the component is on screen. */
export function useShortcuts(handlers: Record<string, (event: KeyboardEvent) => void>): void {
  let leader = 0
  const onKey = (event: KeyboardEvent) => {
    if (isTyping(event)) return
    if (leader && event.timeStamp - leader < PAIR_WITHIN_MS) {
      leader = 0
      run(handlers[`g ${event.key}`], event)
      return
    }
    leader = event.key === 'g' && Object.keys(handlers).some((name) => name.startsWith('g ')) ? event.timeStamp : 0
    run(handlers[event.key], event)
  }
  onMounted(() => window.addEventListener('keydown', onKey))
  onBeforeUnmount(() => window.removeEventListener('keydown', onKey))
}

function run(handler: ((event: KeyboardEvent) => void) | undefined, event: KeyboardEvent): void {
  if (!handler) return
  event.preventDefault()
  handler(event)
}
