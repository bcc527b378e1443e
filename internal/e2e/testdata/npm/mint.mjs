// The vendor's server library against the sandbox: mints, and prints what it
// got, or the class of the error that it threw.
import * as ElevenLabs from '@elevenlabs/elevenlabs-js'

const [baseUrl, tokenType, apiKey] = process.argv.slice(2)
const client = new ElevenLabs.ElevenLabsClient({ apiKey, baseUrl })
try {
  const { token } = await client.tokens.singleUse.create(tokenType, { maxRetries: 0, timeoutInSeconds: 10 })
  console.log(JSON.stringify({ token }))
} catch (error) {
  const classes = { ...ElevenLabs.ElevenLabs, ElevenLabsError: ElevenLabs.ElevenLabsError, ElevenLabsTimeoutError: ElevenLabs.ElevenLabsTimeoutError }
  console.log(JSON.stringify({
    classes: Object.keys(classes).filter((name) => name.endsWith('Error') && typeof classes[name] === 'function' && error instanceof classes[name]).sort(),
    status: error.statusCode, detail: error.body?.detail,
  }))
}
