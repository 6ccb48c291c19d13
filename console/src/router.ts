/** Every page has an address; everything but log-in and set-up needs a session. */
import { createRouter, createWebHistory, type RouteLocationNormalized } from 'vue-router'
import { api } from './api/client'
import { loadUser, user } from './lib/session'

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? false,
  routes: [
    { path: '/login', name: 'login', component: () => import('./pages/LoginPage.vue'), meta: { open: true } },
    { path: '/setup', name: 'setup', component: () => import('./pages/SetupPage.vue'), meta: { open: true } },
    {
      path: '/',
      component: () => import('./layout/AppShell.vue'),
      children: [
        { path: '', name: 'overview', component: () => import('./pages/OverviewPage.vue') },
        {
          path: 'alerts',
          name: 'alerts',
          component: () => import('./pages/AlertsPage.vue'),
          children: [{ path: ':uid', name: 'alert', component: () => import('./pages/AlertDrawer.vue') }],
        },
        { path: 'incidents', name: 'incidents', component: () => import('./pages/IncidentsPage.vue') },
        { path: 'incidents/:id', name: 'incident', component: () => import('./pages/IncidentPage.vue') },
        { path: 'search', name: 'search', component: () => import('./pages/SearchPage.vue') },
        { path: 'events/:uid', name: 'event', component: () => import('./pages/EventPage.vue') },
        { path: 'detections', name: 'detections', component: () => import('./pages/DetectionsPage.vue') },
        { path: 'collection', name: 'collection', component: () => import('./pages/CollectionPage.vue') },
        { path: ':rest(.*)*', name: 'missing', component: () => import('./pages/MissingPage.vue') },
      ],
    },
  ],
})

router.beforeEach(async (to) => {
  if (to.meta['open'] || user.value) return true
  try {
    if (await loadUser()) return true
    if ((await api.setupNeeded()).needed) return { name: 'setup' }
  } catch {
    // The server cannot be reached: the log-in page says so and keeps the address.
  }
  return logInFor(to)
})

function logInFor(to: RouteLocationNormalized) {
  return { name: 'login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
}

/** Where to go after logging in: only addresses of this console. */
export function safeNext(next: unknown): string {
  return typeof next === 'string' && /^\/(?![/\\])/.test(next) ? next : '/'
}
