import { createFarebox } from 'http://localhost:8080/sdk/farebox.js'
import { showCaptions } from './captions.js'

const fareboxUrl = 'http://localhost:8080'
const form = document.querySelector('#sign-in')

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const name = new FormData(form).get('name')
  try {
    // In memory alone: what is in no storage cannot be read from there.
    let session = await signIn(name)
    const farebox = createFarebox({
      baseUrl: fareboxUrl,
      getSession: async ({ renew }) => renew ? session = await signIn(name) : session,
    })
    form.hidden = true
    showCaptions(farebox)
  } catch (error) {
    document.querySelector('#error').textContent = `You could not be signed in. ${error.message}`
  }
})

// The demo sign-in of `farebox dev` stands for yours, which gives the page a
// session JWT that farebox knows how to verify.
async function signIn(name) {
  const response = await fetch(fareboxUrl + '/dev/session', { method: 'POST', body: new URLSearchParams({ sub: name }) })
  if (!response.ok) throw new Error((await response.json()).detail)
  return (await response.json()).session
}
