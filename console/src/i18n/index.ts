/** The languages of the screen. */
import { createI18n } from 'vue-i18n'
import { preferences } from '@/lib/preferences'
import { en } from './en'
import { zhCN } from './zh-CN'

export const i18n = createI18n({
  legacy: false,
  locale: preferences.locale,
  fallbackLocale: false,
  messages: { 'zh-CN': zhCN, en },
})
