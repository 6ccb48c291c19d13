/** How long answers are kept and when calls are tried again. */
import { QueryClient } from '@tanstack/vue-query'
import { asProblem } from '@/api/problem'

const FRESH_MS = 5_000
const TRIES = 2

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: FRESH_MS,
      // What the server refused it will refuse again; a lost connection or a restart is worth another try.
      retry: (failures, error) => failures < TRIES && ['offline', 'server'].includes(asProblem(error).kind),
    },
  },
})
