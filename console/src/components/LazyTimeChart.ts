/** The time chart, fetched when first shown: the chart library is larger than everything else together. */
import { defineAsyncComponent } from 'vue'

export const LazyTimeChart = defineAsyncComponent(() => import('./TimeChart.vue'))
