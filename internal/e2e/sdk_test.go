//go:build real

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// guest is a page of another origin that has loaded the SDK from dev, through a
// wire, and is signed in.
type guest struct {
	*browser
	d *dev
	w *wire
}

func openGuest(t *testing.T, env ...string) *guest {
	t.Helper()
	d := startDev(t, env...)
	s := &guest{browser: openBrowser(t), d: d, w: d.wire()}
	s.load("<!doctype html><title>A page of somebody's</title>")
	return s
}

// load has the browser show a page, with farebox for ada.
func (s *guest) load(page string) {
	s.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
	}))
	s.t.Cleanup(server.Close)
	s.visit(server.URL)
}

// visit has the browser show the page at an address, with farebox for ada.
func (s *guest) visit(address string) {
	s.t.Helper()
	s.run(chromedp.Navigate(address + "/"))
	eval[bool](s, fmt.Sprintf(`
		window.base = %q
		Object.assign(window, await import(base + '/sdk/farebox.js'))
		window.signIn = async (claims) => {
			const answer = await fetch(base + '/dev/session', {method: 'POST', credentials: 'include', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(claims)})
			return (await answer.json()).session
		}
		window.expired = {sub: 'ada', iat: 1790000000, exp: 1790000060}
		window.jwt = await signIn({sub: 'ada'})
		window.make = (options) => createFarebox({baseUrl: base, getSession: () => jwt, ...options})
		window.farebox = make()
		window.failure = (promise) => promise.then((value) => ({code: 'none', value}), (error) => ({
			isTyped: error instanceof FareboxError && error instanceof Error, name: error.name, code: error.code, status: error.status,
			retryAfter: error.retryAfter, requestId: error.requestId ?? '', message: error.message, cause: String(error.cause),
		}))
		return true`, s.w.url))
}

// eval runs statements in the page and returns what they return.
func eval[T any](s *guest, statements string) T {
	s.t.Helper()
	return read(s.browser, chromedp.Evaluate[T]("(async () => {"+statements+"\n})()", chromedp.EvalAwaitPromise))
}

// failure is what a call of the SDK rejected with.
type failure struct {
	IsTyped                               bool
	Name, Code, RequestID, Message, Cause string
	Status, RetryAfter                    int
}

func (s *guest) fails(expression string) failure {
	s.t.Helper()
	return eval[failure](s, "return failure("+expression+")")
}

func TestTheSDKGetsATokenWithEverythingToRedeemIt(t *testing.T) {
	t.Parallel()
	s := openGuest(t)
	got := eval[map[string]any](s, `
		const before = Date.now()
		const grant = await farebox.token('tts_websocket')
		return {...grant, isDate: grant.expiresAt instanceof Date, isOfItsLife: grant.expiresAt - before >= grant.expiresIn * 1000 && grant.expiresAt - Date.now() <= grant.expiresIn * 1000}`)
	if keys := s.w.asked(); len(keys) != 1 || len(keys[0]) < 20 || len(keys[0]) > 43 {
		t.Errorf("its keys are %q", keys)
	}
	if !strings.HasPrefix(got["token"].(string), "sutkn_") || got["tokenType"] != "tts_websocket" || got["tokenParameter"] != "single_use_token" ||
		got["baseUrl"] != s.w.url || got["websocketBaseUrl"] != "ws"+strings.TrimPrefix(s.w.url, "http") || got["isDate"] != true || got["isOfItsLife"] != true {
		t.Errorf("it gave %v", got)
	}

	// A session in a cookie, across origins, and a base address with a slash.
	if code := s.fails(`make({getSession: undefined, credentials: 'include', baseUrl: base + '/'}).token('batch_scribe')`).Code; code != "none" {
		t.Errorf("by cookie: %s", code)
	}
	if code := s.fails(`make({getSession: undefined}).token('batch_scribe')`).Code; code != "session_missing" {
		t.Errorf("by cookie without credentials: %s", code)
	}

	// Somebody's own key names the attempt.
	if same := eval[bool](s, `
		const ask = (idempotencyKey) => farebox.token('batch_scribe', {idempotencyKey})
		const [a, b] = [await ask('k1'), await ask('k1')]
		return a.token === b.token`); !same {
		t.Error("the same key gave another token")
	}
}

func TestTheSDKGivesAHundredCallersAHundredTokens(t *testing.T) {
	t.Parallel()
	s := openGuest(t)
	// Ten users, whose limit is ten tokens at once; for all together it is fifty,
	// so that some have to come back.
	different := eval[int](s, `
		const calls = []
		for (let user = 0; user < 10; user++) {
			const session = await signIn({sub: 'user' + user})
			const own = make({getSession: () => session})
			for (let call = 0; call < 10; call++) calls.push(() => own.token('realtime_scribe'))
		}
		return new Set((await Promise.all(calls.map((call) => call()))).map(({token}) => token)).size`)
	if different != 100 {
		t.Errorf("a hundred calls gave %d tokens", different)
	}
}

func TestTheSDKAsksAgainForTheSameToken(t *testing.T) {
	t.Parallel()
	s := openGuest(t)
	for name, bad := range map[string]spoil{
		"an answer that was lost":       lose,
		"an answer that broke off":      truncate,
		"a proxy's error":               answerWith(502, "", "text/html", "<h1>Bad gateway</h1>"),
		"a page that is no answer":      answerWith(200, "", "text/html", "<h1>Sign in to this network</h1>"),
		"still being made":              refuse(409, "request_in_progress", "1"),
		"too many requests":             refuse(429, "rate_limited", "1"),
		"a vendor away":                 refuse(503, "vendor_unavailable", "1"),
		"a vendor away, for some time":  refuse(503, "vendor_unavailable", ""),
		"something that is no token":    refuse(502, "vendor_error", ""),
		"a problem with another status": answerWith(503, "", "application/json", `{"status":"error"}`),
	} {
		s.w.spoil(bad, bad)
		if got := s.fails(`farebox.token('realtime_scribe')`); got.Code != "none" {
			t.Errorf("%s: %+v", name, got)
		}
		s.w.wantAsked(t, 3, 1)
		// The limit of ten a minute is each user's own.
		eval[bool](s, `window.jwt = await signIn({sub: 'ada' + Math.random()}); return true`)
	}

	s.w.spoil(lose)
	kept := eval[string](s, `
		const {token} = await farebox.token('batch_scribe', {idempotencyKey: 'k2'})
		return token`)
	if again := eval[string](s, `return (await farebox.token('batch_scribe', {idempotencyKey: 'k2'})).token`); again != kept {
		t.Error("after a lost answer the retry got another token")
	}
	s.w.wantAsked(t, 3, 1)

	s.w.spoil(hang)
	if got := s.fails(`make({timeout: 5000}).token('batch_scribe')`); got.Code != "none" {
		t.Errorf("a request that hung: %+v", got)
	}
	s.w.wantAsked(t, 2, 1)
}

func TestTheSDKComesBackNoEarlierThanItWasAskedTo(t *testing.T) {
	t.Parallel()
	s := openGuest(t)
	s.w.spoil(refuse(429, "rate_limited", "2"), refuse(503, "overloaded", ""))
	// Pauses are noted, not waited for.
	pauses := eval[[]float64](s, `
		const pauses = []
		const real = setTimeout
		window.setTimeout = (then, time) => { pauses.push(time); return real(then, 0) }
		Math.random = () => 0.5
		await farebox.token('realtime_scribe')
		window.setTimeout = real
		return pauses`)
	if len(pauses) != 2 || pauses[0] != 2200 || pauses[1] != 400 {
		t.Errorf("it paused for %v ms", pauses)
	}
}

func TestTheSDKGivesUpWhatCannotGetBetter(t *testing.T) {
	t.Parallel()
	s := openGuest(t)
	for name, tt := range map[string]struct {
		spoil spoil
		call  string
		want  failure
	}{
		"a type that is unknown": {pass, `farebox.token('nonsense')`, failure{Code: "unknown_token_type", Status: 404}},
		"no session":             {pass, `make({getSession: async () => null}).token('realtime_scribe')`, failure{Code: "session_missing", Status: 401}},
		"a session that is none": {pass, `make({getSession: async () => 'x.y.z'}).token('realtime_scribe')`, failure{Code: "session_invalid", Status: 401}},
		"a quota":                {refuse(429, "quota_exhausted", "3600"), `farebox.token('realtime_scribe')`, failure{Code: "quota_exhausted", Status: 429, RetryAfter: 3600}},
		"what operators mend":    {refuse(503, "vendor_refused", "31"), `farebox.token('realtime_scribe')`, failure{Code: "vendor_refused", Status: 503, RetryAfter: 31}},
		"a type for others":      {refuse(403, "token_type_not_allowed", ""), `farebox.token('realtime_scribe')`, failure{Code: "token_type_not_allowed", Status: 403}},
		"somebody else's 404":    {answerWith(404, "", "text/html", "<h1>Not here</h1>"), `farebox.token('realtime_scribe')`, failure{Code: "network", Status: 404}},
	} {
		s.w.spoil(tt.spoil)
		got := s.fails(tt.call)
		if !got.IsTyped || got.Name != "FareboxError" || got.Code != tt.want.Code || got.Status != tt.want.Status || got.RetryAfter != tt.want.RetryAfter {
			t.Errorf("%s: %+v", name, got)
		}
		if tt.want.Code != "network" && (got.RequestID == "" || got.Message == "") {
			t.Errorf("%s lacks its id or detail: %+v", name, got)
		}
		s.w.wantAsked(t, 1, 1)
	}

	// In bounded time, whatever comes.
	for name, tt := range map[string]struct {
		spoil spoil
		code  string
	}{
		"a vendor that stays away": {refuse(503, "vendor_unavailable", ""), "vendor_unavailable"},
		"answers that are lost":    {lose, "network"},
		"nothing at all":           {hang, "timeout"},
	} {
		spoils := make([]spoil, 100)
		for i := range spoils {
			spoils[i] = tt.spoil
		}
		s.w.spoil(spoils...)
		if got := s.fails(`make({timeout: 2000}).token('realtime_scribe')`); got.Code != tt.code {
			t.Errorf("%s: %+v", name, got)
		}
		if asked := len(s.w.asked()); asked < 2 || asked > 50 {
			t.Errorf("%s: asked %d times", name, asked)
		}
	}
	// The limit holds for the last try too.
	s.w.spoil(hang)
	if got := s.fails(`(() => {
		const limit = new AbortController(), now = performance.now.bind(performance)
		const timeout = AbortSignal.timeout
		AbortSignal.timeout = (time) => time === 30000 ? limit.signal : new AbortController().signal
		const call = farebox.token('realtime_scribe')
		setTimeout(() => {
			performance.now = () => now() + 30000
			limit.abort()
		}, 50)
		return call.finally(() => { AbortSignal.timeout = timeout; performance.now = now })
	})()`); got.Code != "timeout" {
		t.Errorf("past the limit: %+v", got)
	}
	// A clock that is set back in between gives no more time.
	away := make([]spoil, 100)
	for i := range away {
		away[i] = refuse(503, "vendor_unavailable", "")
	}
	s.w.spoil(away...)
	if got := s.fails(`(() => {
		const now = Date.now
		const call = make({timeout: 1000}).token('realtime_scribe')
		Date.now = () => now() - 3600000
		return call.finally(() => { Date.now = now })
	})()`); got.Code != "vendor_unavailable" && got.Code != "timeout" {
		t.Errorf("with the clock set back: %+v", got)
	}
	s.w.spoil()
	if got := s.fails(`make({timeout: 1000, baseUrl: 'http://127.0.0.1:1'}).token('realtime_scribe')`); got.Code != "network" || got.Status != 0 {
		t.Errorf("nobody there: %+v", got)
	}
}

func TestTheSDKStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := openGuest(t)
	s.w.spoil()
	got := s.fails(`(() => {
		window.sessions = 0
		const stop = AbortSignal.abort(new Error('left the page'))
		return make({getSession: () => { sessions++ }}).token('realtime_scribe', {signal: stop})
	})()`)
	if got.Code != "aborted" || !strings.Contains(got.Cause, "left the page") || !got.IsTyped {
		t.Errorf("before: %+v", got)
	}
	if asked := eval[int](s, `return sessions`); asked != 0 {
		t.Error("a session was asked for, for nothing")
	}
	s.w.wantAsked(t, 0, 0)

	// The pause does not end by itself.
	s.w.spoil(refuse(429, "rate_limited", "5"))
	if got := s.fails(`(() => {
		const stop = new AbortController()
		const real = setTimeout
		window.setTimeout = () => { stop.abort(); window.setTimeout = real; return 0 }
		return farebox.token('realtime_scribe', {signal: stop.signal})
	})()`); got.Code != "aborted" {
		t.Errorf("in the pause: %+v", got)
	}
	s.w.wantAsked(t, 1, 1)

	s.w.spoil(hang)
	if got := s.fails(`(() => {
		const stop = new AbortController()
		const call = farebox.token('realtime_scribe', {signal: stop.signal})
		setTimeout(() => stop.abort(), 50)
		return call
	})()`); got.Code != "aborted" {
		t.Errorf("under way: %+v", got)
	}

	// Nor does a session that never comes.
	if got := s.fails(`(() => {
		const stop = new AbortController()
		return make({getSession: () => { setTimeout(() => stop.abort()); return new Promise(() => {}) }}).token('realtime_scribe', {signal: stop.signal})
	})()`); got.Code != "aborted" {
		t.Errorf("while signing in: %+v", got)
	}
}

func TestTheSDKLeavesNothingAtASignalThatLivesOn(t *testing.T) {
	t.Parallel()
	s := openGuest(t)
	s.w.spoil(refuse(503, "vendor_unavailable", ""), refuse(429, "rate_limited", "0"))
	if left := eval[int](s, `
		const {signal} = new AbortController()
		let listeners = 0
		for (const [name, change] of [['addEventListener', 1], ['removeEventListener', -1]]) {
			const real = signal[name].bind(signal)
			signal[name] = (...how) => { listeners += change; real(...how) }
		}
		await farebox.token('realtime_scribe', {signal})
		await farebox.prefetch('realtime_scribe')
		await farebox.token('realtime_scribe', {signal})
		await fetch(base + '/health/live').catch(() => {})
		return listeners`); left != 0 {
		t.Errorf("%d listeners are left", left)
	}
	s.w.wantAsked(t, 4, 2)
}

func TestTheSDKRenewsASessionOnce(t *testing.T) {
	t.Parallel()
	s := openGuest(t)
	// The session of a page that keeps the renewed one, and of one that does not.
	for _, keeps := range []bool{true, false} {
		got := eval[map[string]any](s, fmt.Sprintf(`
			const over = await signIn(expired), fresh = await signIn({sub: 'ada%v'})
			let now = over
			const asked = []
			const own = make({getSession: async ({renew}) => {
				asked.push(renew)
				if (!renew) return now
				if (%v) late.push(own.token('realtime_scribe')) // begun while it is renewed
				await new Promise((resolve) => setTimeout(resolve, 50))
				if (%v) now = fresh
				return fresh
			}})
			const late = []
			const tokens = await Promise.all(Array.from({length: 8}, () => own.token('realtime_scribe')))
			await Promise.all(late)
			return {tokens: new Set(tokens.map(({token}) => token)).size, renewals: asked.filter((renew) => renew).length}`, keeps, keeps, keeps))
		if got["tokens"] != 8.0 || got["renewals"] != 1.0 {
			t.Errorf("it keeps the session: %v; %v", keeps, got)
		}
	}

	got := eval[map[string]any](s, `
		let renewals = 0
		const over = await signIn(expired)
		const own = make({getSession: ({renew}) => { renewals += renew; return over }})
		return {...await failure(own.token('realtime_scribe')), renewals}`)
	if got["code"] != "session_expired" || got["renewals"] != 1.0 {
		t.Errorf("a renewed session that is over too: %v", got)
	}
	if got := eval[map[string]any](s, `
		const over = await signIn(expired)
		let isAway = true
		const own = make({getSession: async ({renew}) => {
			if (renew && isAway) throw new Error('signed out')
			return renew ? jwt : over
		}})
		const first = await failure(own.token('realtime_scribe'))
		isAway = false
		return {...first, later: (await failure(own.token('realtime_scribe'))).code}`); got["code"] != "session_missing" || !strings.Contains(got["cause"].(string), "signed out") || got["later"] != "none" {
		t.Errorf("a renewal that fails: %v", got)
	}
	// One that never comes holds up nobody who asks later.
	if code := eval[string](s, `
		let now = await signIn(expired)
		const own = make({timeout: 1000, getSession: ({renew}) => renew ? new Promise(() => {}) : now})
		let code = (await failure(own.token('realtime_scribe'))).code
		if (code !== 'timeout') return code
		now = jwt
		for (let turn = 0; turn < 10 && code !== 'none'; turn++) code = (await failure(own.token('realtime_scribe'))).code
		return code`); code != "none" {
		t.Errorf("after a renewal that never came: %s", code)
	}
	if got := s.fails(`make({getSession: () => { throw new Error('nobody') }}).token('realtime_scribe')`); got.Code != "session_missing" || !strings.Contains(got.Cause, "nobody") {
		t.Errorf("no session to be had: %+v", got)
	}
	if got := s.fails(`make({timeout: 500, getSession: () => fetch('http://127.0.0.1:1')}).token('realtime_scribe')`); got.Code != "network" {
		t.Errorf("a login that is away: %+v", got)
	}
	s.w.spoil()
	if got := s.fails(`signIn(expired).then(() => make({getSession: undefined, credentials: 'include'}).token('realtime_scribe'))`); got.Code != "session_expired" {
		t.Errorf("nobody to renew it: %+v", got)
	}
}

func TestTheSDKKeepsAPrefetchedTokenForOneCall(t *testing.T) {
	t.Parallel()
	s := openGuest(t)
	s.w.spoil()
	if different := eval[int](s, `
		await Promise.all([farebox.prefetch('realtime_scribe'), farebox.prefetch('realtime_scribe')])
		await farebox.prefetch('realtime_scribe')
		window.kept = (await Promise.all([farebox.token('realtime_scribe'), farebox.token('realtime_scribe'), farebox.token('batch_scribe')]))
		return new Set(kept.map(({token}) => token)).size`); different != 3 {
		t.Errorf("three calls gave %d tokens", different)
	}
	s.w.wantAsked(t, 3, 3)

	// One that is under way is waited for.
	s.w.spoil()
	eval[bool](s, `farebox.prefetch('realtime_scribe'); await farebox.token('realtime_scribe'); return true`)
	s.w.wantAsked(t, 1, 1)

	// Whoever stops waiting leaves it for the next.
	gate := make(chan struct{})
	s.w.spoil(hold(gate))
	if got := s.fails(`(() => {
		farebox.prefetch('batch_scribe')
		const stop = new AbortController()
		const call = farebox.token('batch_scribe', {signal: stop.signal})
		stop.abort()
		return call
	})()`); got.Code != "aborted" {
		t.Errorf("it waited on: %+v", got)
	}
	close(gate)
	eval[bool](s, `await farebox.token('batch_scribe'); return true`)
	s.w.wantAsked(t, 1, 1)

	// One that failed is made up for.
	s.w.spoil(refuse(403, "token_type_not_allowed", ""))
	eval[bool](s, `await farebox.prefetch('batch_scribe'); await farebox.token('batch_scribe'); return true`)
	s.w.wantAsked(t, 2, 2)

	// A caller's own key names another attempt.
	s.w.spoil()
	if same := eval[bool](s, `
		await farebox.prefetch('realtime_scribe')
		const own = await farebox.token('realtime_scribe', {idempotencyKey: 'own'})
		return own.token === (await farebox.token('realtime_scribe')).token`); same {
		t.Error("a prefetched token was given twice")
	}
	s.w.wantAsked(t, 2, 2)
	if asked := s.w.asked(); asked[1] != "own" {
		t.Errorf("the caller's own key was not asked with: %q", asked)
	}

	// Before it expires it is dropped.
	for ahead, requests := range map[string]int{"expiresIn - 60": 1, "expiresIn - 20": 2, "expiresIn + 60": 2} {
		s.w.spoil()
		eval[bool](s, fmt.Sprintf(`
			const own = make({getSession: () => other}), real = Date.now
			window.other = await signIn({sub: 'ben'})
			await own.prefetch('tts_websocket')
			const expiresIn = 899
			Date.now = () => real() + (%s) * 1000
			await Promise.all([own.prefetch('tts_websocket'), own.prefetch('tts_websocket')])
			const {expiresAt} = await own.token('tts_websocket')
			const good = expiresAt - Date.now() > 30000
			Date.now = real
			return good || Promise.reject('too late')`, ahead))
		s.w.wantAsked(t, requests, requests)
	}
}

func TestTheSDKAsksForAgentsCredentials(t *testing.T) {
	t.Parallel()
	s := openGuest(t, "FAREBOX_POLICY_FILE="+writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), "tokens: {}\nagents: {'agent_1&x=2': {}}\n"))
	got := eval[map[string]any](s, `
		const before = Date.now()
		const answer = await farebox.signedUrl('agent_1&x=2')
		const life = answer.expiresAt - before
		const address = new URL(answer.signedUrl)
		return {agent: address.searchParams.get('agent_id'), protocol: address.protocol, isOfItsLife: life > 890000 && life < 960000}`)
	if got["agent"] != "agent_1&x=2" || got["protocol"] != "ws:" || got["isOfItsLife"] != true {
		t.Errorf("the signed address: %v", got)
	}
	s.w.spoil(refuse(503, "vendor_unavailable", ""), lose)
	got = eval[map[string]any](s, `return farebox.conversationToken('agent_1&x=2')`)
	if token, _ := got["token"].(string); token == "" || got["conversationId"] == "" || len(got) != 2 {
		t.Errorf("the conversation's token: %v", got)
	}
	s.w.wantAsked(t, 3, 1)
	if n := strings.Count(do(t, http.MethodGet, s.d.sandbox+"/_sandbox/calls", nil, "").raw, `"operation":"conversation_token"`); n != 1 {
		t.Errorf("%d vendor calls for an answer that was lost", n)
	}
	if got := s.fails(`farebox.signedUrl('agent_1')`); got.Code != "agent_not_allowed" {
		t.Errorf("an agent that is not named: %+v", got)
	}
}
