// The key pair that signs this back end's JWTs. It is made at the first start; in
// production SESSION_KEY_FILE names the same key for every instance.
import { randomUUID } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose'

const path = process.env.SESSION_KEY_FILE ?? '.session-key.json'
let loaded

// Gives { kid, privateKey, publicJwk }.
export const sessionKey = () => loaded ??= load()

async function load() {
  const { kty, crv, x, y, d, kid } = await read().catch(make)
  // Named one by one: the private part of another kind of key is more than d.
  const publicJwk = { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' }
  return { kid, privateKey: await importJWK({ ...publicJwk, d }), publicJwk }
}

// The comment keeps Next.js from taking the key into its build.
const read = async () => JSON.parse(await readFile(/* turbopackIgnore: true */ path, 'utf8'))

async function make(error) {
  if (error.code !== 'ENOENT') throw error
  const jwk = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
  const key = { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' }
  // Whole or not at all, and the first of two that start at once wins.
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, JSON.stringify(key), { mode: 0o600 })
  await link(draft, path).catch((error) => {
    if (error.code !== 'EEXIST') throw error
  })
  await rm(draft)
  return read()
}
