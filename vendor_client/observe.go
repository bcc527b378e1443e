package vendorclient

import (
	"context"
	"net/http"
	"strings"
)

// Observer is told of calls that make something. It is safe for concurrent use.
type Observer interface {
	// Call is told that a call begins. The context that it returns is the
	// call's, and the function is told how it ended.
	Call(ctx context.Context, call Call) (context.Context, func(Ending))
	// NotCalled is told of a call that was not made, and why: a Kind.
	NotCalled(operation, why string)
}

// Call is what the vendor is asked for.
type Call struct {
	Operation   string // as errors name it
	Method, URL string // without the query
}

// Ending is how a call ended.
type Ending struct {
	Outcome string // "ok", or a Kind
	Status  int    // the HTTP status; 0 where none came
}

// Operations are what the vendor is asked to make.
func Operations() []string {
	return []string{operationMint, operationSignedURL, operationConversationToken}
}

type unobserved struct{}

func (unobserved) Call(ctx context.Context, _ Call) (context.Context, func(Ending)) {
	return ctx, func(Ending) {}
}
func (unobserved) NotCalled(string, string) {}

// InFlight is how many calls are under way.
func (c *Client) InFlight() int { return len(c.slots) }

func (c *Client) observedCall(ctx context.Context, o order, key *Key) (Credential, *Error) {
	path, _, _ := strings.Cut(o.path, "?")
	ctx, ended := c.cfg.Observer.Call(ctx, Call{Operation: o.operation, Method: o.method, URL: c.base + path})
	made, err := c.call(ctx, o, key)
	if err != nil {
		ended(Ending{Outcome: string(err.Kind), Status: err.Status})
	} else {
		ended(Ending{Outcome: "ok", Status: http.StatusOK})
	}
	return made, err
}

func (c *Client) notCalled(err *Error) *Error {
	c.cfg.Observer.NotCalled(err.Operation, string(err.Kind))
	return err
}
