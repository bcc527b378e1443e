import { fileURLToPath } from 'node:url'

export default {
  poweredByHeader: false,
  turbopack: { root: fileURLToPath(new URL('../..', import.meta.url)) }, // the SDK is linked from there
}
