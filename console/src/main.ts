import { createApp } from 'vue'
import { VueQueryPlugin } from '@tanstack/vue-query'
import App from './App.vue'
import { i18n } from './i18n'
import { queryClient } from './lib/query-client'
import { router } from './router'
import './theme/tokens.css'
import './theme/base.css'

createApp(App).use(i18n).use(router).use(VueQueryPlugin, { queryClient }).mount('#app')
