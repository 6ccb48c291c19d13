/** What somebody did to an incident, in a sentence. */
import { useI18n } from 'vue-i18n'
import type { Change } from '@/api/types'

/** The name under which the platform itself acts. */
const PLATFORM = 'system'

export function useChangeText(): (change: Change) => string {
  const { t, te } = useI18n()
  const named = (group: string, name: string | null | undefined) => (name && te(`${group}.${name}`) ? t(`${group}.${name}`) : (name ?? ''))
  return (change) => {
    const by = change.by === PLATFORM ? t('change.platform') : change.by
    const group = change.kind === 'severity' ? 'severity' : 'state'
    return t(`change.${change.kind}`, { by, from: named(group, change.from), to: named(group, change.to) })
  }
}
