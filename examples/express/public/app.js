import { showCaptions } from './captions.js'

const form = document.querySelector('#sign-in')
const error = document.querySelector('#error')

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const answer = await post('sign-in', Object.fromEntries(new FormData(form)))
  if (answer.error) error.textContent = answer.error
  else location.reload()
})

document.querySelector('#sign-out').addEventListener('click', async () => {
  const answer = await post('sign-out')
  if (answer.error) error.textContent = answer.error
  else location.reload()
})

// In memory alone: what is in no storage cannot be read from there.
let { session, fareboxUrl, error: refused } = await post('voice-session')
if (refused) {
  form.hidden = false
} else {
  const { createFarebox } = await import(fareboxUrl + '/sdk/farebox.js')
  showCaptions(createFarebox({
    baseUrl: fareboxUrl,
    getSession: async ({ renew }) => renew ? session = (await post('voice-session')).session : session,
  }))
}

// Gives the answer, or { error }.
async function post(what, body = {}) {
  try {
    const response = await fetch('/api/' + what, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
    })
    return response.status === 204 ? {} : await response.json()
  } catch {
    return { error: 'There is no connection.' }
  }
}
