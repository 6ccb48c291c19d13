/** Who is logged in, as far as this page knows. */
import { shallowRef } from 'vue'
import { api } from '@/api/client'
import { asProblem } from '@/api/problem'
import type { User } from '@/api/types'

export const user = shallowRef<User | null>(null)

/** Asks the server once; null when nobody is logged in. Other failures are thrown. */
export async function loadUser(): Promise<User | null> {
  try {
    user.value = (await api.session()).user
  } catch (error) {
    const problem = asProblem(error)
    if (problem.kind !== 'unauthenticated') throw problem
    user.value = null
  }
  return user.value
}

/** Ends the session here and, when it can be reached, on the server. */
export async function logOut(): Promise<void> {
  try {
    await api.logOut()
  } finally {
    user.value = null
  }
}
