package dev

import (
	"fmt"
	"io"
	"net"
)

// Greeting is what dev started.
type Greeting struct {
	Page          bool     // the page is on
	SignIn        bool     // the demo sign-in is on
	Public        string   // host:port of the public listener
	Ops           string   // of the operators', "" where off
	Sandbox       string   // of the sandbox vendor
	EmbeddedRedis bool     // else a real one
	Hosts         []string // further addresses of this machine that are answered
	Phone         string   // the one of Hosts that a phone is likely to reach, "" for none
	Terminal      bool     // somebody looks at it, with a phone at hand
}

// Greet prints what was started, the address to open and a first call.
func Greet(w io.Writer, g Greeting) {
	_, port, _ := net.SplitHostPort(g.Public)
	address := "http://localhost:" + port
	redis := "real, from REDIS_URL"
	if g.EmbeddedRedis {
		redis = "embedded, gone when this ends"
	}
	open := address
	if !g.Page {
		open = "the page is off"
	}
	fmt.Fprintf(w, "farebox dev: all in this process, nothing real\n\n")
	fmt.Fprintf(w, "  open       %s\n", open)
	for _, host := range g.Hosts {
		fmt.Fprintf(w, "             http://%s\n", net.JoinHostPort(host, port))
	}
	if g.Phone != "" {
		phone := "http://" + net.JoinHostPort(g.Phone, port)
		fmt.Fprintf(w, "             other hosts than these are refused\n")
		fmt.Fprintf(w, "  phone      %s, on the same network; over plain HTTP browsers\n", phone)
		fmt.Fprintf(w, "             give no microphone, files and speech work\n")
		if g.Terminal && g.Page {
			fmt.Fprintln(w)
			_ = writeQR(w, phone)
		}
	}
	fmt.Fprintf(w, "  vendor     the sandbox, http://%s (control: /_sandbox/)\n", g.Sandbox)
	fmt.Fprintf(w, "  redis      %s\n", redis)
	if g.SignIn {
		fmt.Fprintf(w, "  sign-in    POST /dev/session signs anyone in\n")
	} else {
		fmt.Fprintf(w, "  sign-in    yours, verified by the keys that the settings name\n")
	}
	if g.Ops != "" {
		fmt.Fprintf(w, "  operators  http://%s/readyz\n", g.Ops)
	}
	session := "$SESSION"
	if g.SignIn {
		session = fmt.Sprintf(`$(curl -s %s/dev/session -d sub=ada | sed 's/.*"session":"\([^"]*\)".*/\1/')`, address)
	}
	fmt.Fprintf(w, "\nA token, by hand:\n\n  curl -X POST %s/v1/single-use-token/realtime_scribe -H \"Authorization: Bearer %s\"\n\n", address, session)
}
