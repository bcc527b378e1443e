package policy

import (
	"regexp"
	"strconv"
	"time"

	"farebox/internal/limit"
)

const (
	// noLimit is the word for a limit that does not hold.
	noLimit = "none"
	// mostCount keeps a rate's interval at a microsecond or more.
	mostCount  = 1_000_000
	mostDaily  = 1_000_000_000
	mostPeriod = 24 * time.Hour

	howToRate  = "write a rate as count/period, such as 10/1m: a count from 1 to 1000000, a period in s, m or h from 1s to 24h; or none"
	howToDaily = "write a whole number from 1 to 1000000000, such as 200; or none"
)

var (
	rateText  = regexp.MustCompile(`^([1-9][0-9]{0,6})/([1-9][0-9]{0,4})([smh])$`)
	dailyText = regexp.MustCompile(`^[1-9][0-9]{0,9}$`)
)

// parseRate reads a rate such as 10/1m, or none, which is the zero Rate.
func parseRate(text string) (limit.Rate, bool) {
	if text == noLimit {
		return limit.Rate{}, true
	}
	found := rateText.FindStringSubmatch(text)
	if found == nil {
		return limit.Rate{}, false
	}
	count, _ := strconv.Atoi(found[1])
	number, _ := strconv.Atoi(found[2])
	period := time.Duration(number) * map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[found[3]]
	return limit.Rate{Count: count, Period: period}, count <= mostCount && period <= mostPeriod
}

// parseDaily reads a daily limit, or none, which is 0.
func parseDaily(text string) (int, bool) {
	if text == noLimit {
		return 0, true
	}
	if !dailyText.MatchString(text) {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n <= mostDaily
}
