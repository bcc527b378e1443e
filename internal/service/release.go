//go:build release

package service

import (
	"context"
	"errors"
	"io"

	"farebox/internal/config"
)

// errNoDevParts is a build for production, asked for what it was built without.
var errNoDevParts = errors.New("this build is for production, without the sandbox and the demo sign-in; take the one whose name ends in -dev")

// Dev fails: the parts for developers are not in this build.
func Dev(context.Context, *config.Config, Build, bool, io.Writer, io.Writer) error {
	return errNoDevParts
}

// Sandbox fails: the parts for developers are not in this build.
func Sandbox(context.Context, *config.Config, io.Writer, io.Writer) error { return errNoDevParts }
