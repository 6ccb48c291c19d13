/** happy-dom lacks what the components ask of a browser at import. */
import { config } from '@vue/test-utils'
import { i18n } from '@/i18n'

config.global.plugins = [i18n]
