// A back end that signs users in, and vouches for them at farebox.
import cookieParser from 'cookie-parser'
import express from 'express'
import { endAtFarebox, sessionJwt } from './farebox-session.js'
import { sessionKey } from './session-key.js'
import { authenticate, begin, cookieName, cookieOptions, end, find } from './sessions.js'

const { PORT = 3000, HOST = 'localhost', FAREBOX_URL } = process.env
const app = express()
app.disable('x-powered-by')
app.use(express.static('public'))

// Farebox reads it to verify the JWTs; a new key is published here before it signs.
app.get('/.well-known/jwks.json', async (request, response) => {
  response.set('Cache-Control', 'public, max-age=300').json({ keys: [(await sessionKey()).publicJwk] })
})

app.use('/api', refuseOtherSites, cookieParser(), express.json(), (request, response, next) => {
  response.set('Cache-Control', 'no-store')
  next()
})

app.post('/api/sign-in', (request, response) => {
  const user = authenticate(request.body?.name, request.body?.password)
  if (!user) return response.status(401).json({ error: 'Name and password do not go together.' })
  end(request.cookies[cookieName])
  response.cookie(cookieName, begin(user), cookieOptions).sendStatus(204)
})

app.post('/api/voice-session', async (request, response) => {
  const session = find(request.cookies[cookieName])
  if (!session) return response.status(401).json({ error: 'You are not signed in.' })
  response.json({ session: await sessionJwt(session), fareboxUrl: FAREBOX_URL })
})

app.post('/api/sign-out', async (request, response) => {
  const session = end(request.cookies[cookieName])
  response.clearCookie(cookieName, cookieOptions)
  // The user is signed out here whatever farebox says; there, the JWT has five
  // minutes at most.
  if (session) await endAtFarebox(session).catch((error) => console.error(error))
  response.sendStatus(204)
})

// The cookie alone does not tell who has caused a request.
function refuseOtherSites(request, response, next) {
  if (request.get('Sec-Fetch-Site') === 'same-origin') return next()
  response.status(403).json({ error: 'Requests from other sites are refused.' })
}

app.listen(PORT, HOST, (error) => {
  if (error) throw error
  console.log(`the back end is at http://${HOST}:${PORT}`)
})
