import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react()],
  envPrefix: ['VITE_', 'FAREBOX_URL'],
  server: {
    port: Number(process.env.PORT ?? 5173),
    strictPort: true,
    fs: { allow: ['.', '../../web/sdk'] }, // the SDK is linked from there
  },
})
