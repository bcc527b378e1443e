package vendorclient

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// complaint is what the vendor's error bodies say, in any of their shapes:
// `detail` is an object (with a code, in the newer shape), a string or a list.
type complaint struct {
	Code      string `json:"code"`
	Status    string `json:"status"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

func readComplaint(body []byte) complaint {
	var outer struct {
		Detail json.RawMessage `json:"detail"`
	}
	var c complaint
	if json.Unmarshal(body, &outer) != nil || len(outer.Detail) == 0 {
		return c
	}
	if json.Unmarshal(outer.Detail, &c) != nil {
		// Fields of other types than known leave the others readable; a string
		// may be one of the marks itself, and a list says no more than 422.
		var text string
		if json.Unmarshal(outer.Detail, &text) == nil {
			c = complaint{Code: text, Message: text}
		}
	}
	return c
}

// marks are the vendor's words by which errors are told apart.
var marks = map[string]Kind{
	"invalid_api_key":              KindKeyInvalid,
	"missing_permissions":          KindScopeMissing,
	"quota_exceeded":               KindCreditsExhausted,
	"paid_plan_required":           KindPlanTooLow,
	"payment_required":             KindPlanTooLow,
	"concurrent_limit_exceeded":    KindTooManyAtOnce,
	"too_many_concurrent_requests": KindTooManyAtOnce,
	"rate_limit_exceeded":          KindRateLimited,
	"system_busy":                  KindBusy,
}

// classify makes an Error of an answer that is no success.
func (c *Client) classify(operation string, key *Key, answer *http.Response, body []byte) *Error {
	said := readComplaint(body)
	e := &Error{
		Operation: operation, Status: answer.StatusCode, Kind: kindOf(answer.StatusCode, said),
		RequestID: firstID(key, said.RequestID, answer.Header.Get("X-Trace-Id"), answer.Header.Get("X-Request-Id")),
		// A 5xx may come after the work was done; a refusal comes instead of it.
		MayHaveMinted: answer.StatusCode < 300 || answer.StatusCode >= 500 || answer.StatusCode == http.StatusRequestTimeout,
	}
	if e.Kind.Unavailable() {
		e.RetryAfter = retryAfter(answer.Header, c.cfg.Now())
	}
	if e.Kind == KindScopeMissing {
		e.Permission = permission(key, said.Message)
	}
	if e.Kind == KindAddressRefused {
		e.Address, e.Said = namedAddress(said.Message), harmless(key, said.Message)
	}
	return e
}

func kindOf(status int, c complaint) Kind {
	if status >= 400 && status < 500 {
		for _, mark := range []string{c.Code, c.Status} {
			kind, known := marks[mark]
			switch {
			case kind == KindKeyInvalid && status == http.StatusBadRequest:
				return KindKeyIDAsKey
			case known:
				return kind
			}
		}
	}
	switch {
	case status == http.StatusUnauthorized:
		return KindKeyInvalid
	case status == http.StatusPaymentRequired:
		return KindPlanTooLow
	case status == http.StatusForbidden:
		return KindAddressRefused
	case status == http.StatusRequestTimeout:
		return KindTimeout
	case status == http.StatusUnprocessableEntity:
		return KindValidation
	case status == http.StatusTooManyRequests:
		return KindRateLimited
	case status >= 300 && status < 400:
		return KindRedirected
	case status >= 500 && status != http.StatusNotImplemented:
		return KindServerError
	case status >= 200 && status < 300:
		return KindNoToken
	default:
		return KindUnexpectedStatus
	}
}

var (
	plainID         = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	plainText       = regexp.MustCompile(`^[ -~]{1,200}$`)
	looksSecret     = regexp.MustCompile(`sk_|sutkn_`)
	namedPermission = regexp.MustCompile(`permission[s]? ([a-z][a-z_]{2,63})\b`)
)

// firstID is the first of ids that is harmless in a log: short, plain, and
// neither of the key of the call nor what looks like a key or token, which an odd proxy may
// send back.
func firstID(key *Key, ids ...string) string {
	for _, id := range ids {
		if plainID.MatchString(id) && !ofKey(key, id) && !looksSecret.MatchString(id) {
			return id
		}
	}
	return ""
}

// ofKey reports whether text is the key, or has a part in common with it that is
// longer than chance would have it.
func ofKey(key *Key, text string) bool {
	const byChance = 8
	value := key.value.Reveal()
	for at := 0; at+byChance <= len(text); at++ {
		if strings.Contains(value, text[at:at+byChance]) {
			return true
		}
	}
	return text == value
}

// harmless is text that may be shown on an operator's terminal, or "".
func harmless(key *Key, text string) string {
	if !plainText.MatchString(text) || looksSecret.MatchString(text) || ofKey(key, text) {
		return ""
	}
	return text
}

func permission(key *Key, message string) string {
	if found := namedPermission.FindStringSubmatch(message); found != nil && !ofKey(key, found[1]) {
		return found[1]
	}
	return ""
}

// retryAfter reads Retry-After (RFC 9110, 10.2.3) and, without it,
// X-RateLimit-Reset as seconds or as a Unix time. What is more than a day is
// taken for a day.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = 24 * time.Hour
	value := h.Get("Retry-After")
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	isReset := value == ""
	if isReset {
		value = h.Get("X-RateLimit-Reset")
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	const unixTimes = 1_000_000_000
	switch {
	case err != nil || seconds < 0:
		return 0
	case isReset && seconds > unixTimes:
		return min(max(time.Unix(seconds, 0).Sub(now), 0), most)
	default:
		return time.Duration(min(seconds, int64(most/time.Second))) * time.Second
	}
}
