// Serves this folder, as any static web server would. The one thing that it does
// besides is to put in the address of farebox, where that is not the usual one.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'

const { PORT = 5174, FAREBOX_URL = 'http://localhost:8080' } = process.env
const types = { html: 'text/html', js: 'text/javascript', css: 'text/css' }

createServer(async (request, response) => {
  const name = request.url.match(/^\/([\w.]+\.(?:html|js|css))?(?:$|\?)/)
  const file = name && (name[1] ?? 'index.html')
  try {
    const text = await readFile(new URL(file, import.meta.url), 'utf8')
    response.setHeader('Content-Type', types[file.split('.').at(-1)] + '; charset=utf-8')
    response.end(text.replaceAll('http://localhost:8080', FAREBOX_URL))
  } catch {
    response.writeHead(404).end()
  }
}).listen(PORT, 'localhost', () => console.log(`the page is at http://localhost:${PORT}`))
