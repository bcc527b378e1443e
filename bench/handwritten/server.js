// The route that people write: check the session, ask the vendor, answer.
import { readFileSync } from 'node:fs'
import express from 'express'
import jwt from 'jsonwebtoken'

const [port, vendor, keyFile, issuer, audience] = process.argv.slice(2)
const key = readFileSync(keyFile)
const app = express()

app.post('/v1/single-use-token/:type', async (req, res) => {
  try {
    jwt.verify(req.get('authorization')?.replace('Bearer ', ''), key, { algorithms: ['ES256'], issuer, audience })
  } catch {
    return res.status(401).json({ error: 'unauthorized' })
  }
  const answer = await fetch(`${vendor}/v1/single-use-token/${encodeURIComponent(req.params.type)}`, {
    method: 'POST',
    headers: { 'xi-api-key': 'bench' },
  })
  if (!answer.ok) return res.status(502).json({ error: 'no token' })
  const { token } = await answer.json()
  res.json({ token })
})

app.listen(Number(port), '127.0.0.1')
