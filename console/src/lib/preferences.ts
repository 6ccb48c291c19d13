/** What one person chose for this browser: theme, language, display zone. */
import { reactive, watch } from 'vue'

export type Theme = 'system' | 'dark' | 'light'
export type Locale = 'zh-CN' | 'en'

export interface Preferences {
  theme: Theme
  locale: Locale
  /** IANA zone that times are shown in. */
  zone: string
  navFolded: boolean
}

const KEY = 'wanglou.preferences'

const DEFAULTS: Preferences = { theme: 'system', locale: 'zh-CN', zone: 'Asia/Shanghai', navFolded: false }

function stored(): Partial<Preferences> {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}')
    return typeof value === 'object' && value !== null ? checked(value) : {}
  } catch {
    return {}
  }
}

function checked(value: Partial<Record<keyof Preferences, unknown>>): Partial<Preferences> {
  const { theme, locale, zone, navFolded } = value
  return {
    ...(theme === 'system' || theme === 'dark' || theme === 'light' ? { theme } : {}),
    ...(locale === 'zh-CN' || locale === 'en' ? { locale } : {}),
    ...(typeof zone === 'string' && isZone(zone) ? { zone } : {}),
    ...(typeof navFolded === 'boolean' ? { navFolded } : {}),
  }
}

function isZone(zone: string): boolean {
  try {
    Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    return false
  }
}

export const preferences = reactive<Preferences>({ ...DEFAULTS, ...stored() })

watch(preferences, (value) => {
  try {
    localStorage.setItem(KEY, JSON.stringify(value))
  } catch {
    // Storage is full or forbidden: the choice holds until the page is left.
  }
})

const dark = globalThis.matchMedia?.('(prefers-color-scheme: dark)')
const system = reactive({ dark: dark?.matches ?? true })
dark?.addEventListener('change', (event) => {
  system.dark = event.matches
})

/** The theme in force. */
export function themeInForce(): 'dark' | 'light' {
  if (preferences.theme !== 'system') return preferences.theme
  return system.dark ? 'dark' : 'light'
}
