import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import { mockApi } from './dev/mock-api.ts'

/** Where `npm run dev` finds a running `wanglou serve`. */
const SERVER = process.env['WANGLOU_URL'] ?? 'http://127.0.0.1:8080'
/** `npm run dev:mock` and `npm run preview:mock` answer from invented data instead. */
const MOCK = process.env['WANGLOU_MOCK'] === '1'

const proxy = { '/api': { target: SERVER, changeOrigin: false, secure: false } }

export default defineConfig({
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  plugins: [vue(), ...(MOCK ? [mockApi()] : [])],
  define: {
    __VUE_OPTIONS_API__: 'true',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_I18N_LEGACY_API__: 'false',
    __INTLIFY_DROP_MESSAGE_COMPILER__: 'false',
  },
  server: { host: '127.0.0.1', proxy: MOCK ? {} : proxy },
  preview: { host: '127.0.0.1', proxy: MOCK ? {} : proxy },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  test: {
    environment: 'happy-dom',
    // A busy machine is no fault of the page.
    testTimeout: 30_000,
    include: ['tests/**/*.test.ts'],
    setupFiles: ['tests/setup.ts'],
  },
})
