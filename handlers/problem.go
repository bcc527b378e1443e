package handlers

import (
	"farebox/internal/limit"
	"farebox/internal/problem"
)

// refusal is an error that is answered as a problem.
type refusal struct {
	problem.Answer
	limits []limit.State
	cause  error // for the log alone
	quiet  bool  // nobody is left to answer
}

func (r *refusal) Error() string {
	if r.cause != nil {
		return string(r.Code) + ": " + r.cause.Error()
	}
	return string(r.Code)
}

func (r *refusal) Unwrap() error { return r.cause }

func fail(code problem.Code) *refusal { return failWith(code, nil) }

func failWith(code problem.Code, cause error) *refusal {
	return &refusal{Answer: problem.Answer{Code: code}, cause: cause}
}

func malformed(detail string) *refusal {
	return &refusal{Answer: problem.Answer{Code: problem.InvalidRequest, Detail: detail}}
}
