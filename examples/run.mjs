// Starts `farebox dev` and an example together, and ends both together:
//
//   node run.mjs script [argument…]
//
// PORT is the example's port, FAREBOX_LISTEN that of farebox; further FAREBOX_…
// settings are farebox's, and the example sees them too. FAREBOX names a binary
// where it is not to be built from here.
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const { PORT, FAREBOX_URL, ...settings } = process.env
const listen = process.env.FAREBOX_LISTEN || '127.0.0.1:8080'
// What the example is told: where browsers find farebox.
const address = FAREBOX_URL || `http://localhost:${listen.split(':').at(-1)}`

const children = []
start(process.env.FAREBOX || build(), ['dev'], settings)
start(process.execPath, process.argv.slice(2), { ...process.env, FAREBOX_URL: address })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end)

function build() {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const binary = root + (process.platform === 'win32' ? 'farebox.exe' : 'farebox')
  const { error, status } = spawnSync('go', ['build', '-o', binary, '.'], { cwd: root, stdio: 'inherit' })
  if (error || status !== 0) {
    console.error('farebox could not be built: install Go (https://go.dev/dl), or name a binary by FAREBOX=/path/to/farebox')
    process.exit(1)
  }
  return binary
}

function start(command, args, env) {
  const child = spawn(command, args, { env, stdio: 'inherit' })
  children.push(child)
  child.on('error', (error) => {
    console.error(error.message)
    end()
  })
  child.on('exit', (code) => {
    process.exitCode ||= code ?? 0
    end()
  })
}

function end() {
  for (const child of children) child.kill()
}
