//go:build real

package e2e_test

import (
	"context"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// offline takes the browser's network away, or gives it back.
func (b *browser) offline(is bool) {
	b.t.Helper()
	b.run(chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{Offline: is, DownloadThroughput: -1, UploadThroughput: -1}},
		})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, page, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: is, DownloadThroughput: -1, UploadThroughput: -1})
		return err
	}))
}

func TestTheSDKGoesOnWhenTheBrowserIsBackOnline(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	eval[bool](s, `window.live = scribe(); await live.ready; return true`)
	s.w.spoil()
	s.offline(true)
	s.w.cut()
	// It tried, and nothing came of it.
	if online := eval[bool](s, `
		await told('reconnecting')
		await failure(fetch(base + '/health/live', {signal: AbortSignal.timeout(5000)})).then(({code}) => { if (code === 'none') throw new Error('there is a network') })
		return navigator.onLine`); online {
		t.Error("the browser believes that it is online")
	}
	s.w.wantAsked(t, 0, 0)

	s.offline(false)
	eval[bool](s, `
		await told('accepted', 2)
		speakInto(live)
		await told('committed_transcript')
		return true`)
	s.w.wantAsked(t, 1, 1)
	if got := s.told(); slices.Contains(got, "ended") {
		t.Errorf("it told %v", got)
	}
}

func TestTheSDKRenewsASessionThatEndedInTheMiddle(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	eval[bool](s, `
		window.renewals = 0
		window.current = jwt
		window.own = make({getSession: async ({renew}) => {
			if (renew) {
				renewals++
				current = await signIn({sub: 'ada'})
			}
			return current
		}})
		window.live = listen(own.connectScribe({modelId: 'scribe_v2_realtime', audioFormat: 'pcm_16000', sampleRate: 16000}))
		await live.ready
		current = await signIn(expired)
		speakInto(live) // which the open socket does not mind
		await told('committed_transcript')
		return true`)
	if got := eval[int](s, `return renewals`); got != 0 {
		t.Errorf("%d renewals while the socket was open", got)
	}
	s.w.spoil()
	s.w.cut()
	eval[bool](s, `
		await told('accepted', 2)
		speakInto(live)
		await told('committed_transcript', 2)
		return true`)
	if got := eval[int](s, `return renewals`); got != 1 {
		t.Errorf("%d renewals", got)
	}
	// Refused once, for one token.
	s.w.wantAsked(t, 2, 1)
	// The renewed session serves what comes later.
	s.w.cut()
	eval[bool](s, `await told('accepted', 3); return true`)
	if got := eval[int](s, `return renewals`); got != 1 {
		t.Errorf("%d renewals after another drop", got)
	}
}
