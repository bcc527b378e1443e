// Command farebox hands single-use tokens of the vendor to browsers and mobile
// apps: it checks the caller's own session, and the vendor's API key never
// leaves the server.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"farebox/internal/config"
	"farebox/internal/identity"
	"farebox/internal/revocation"
	"farebox/internal/service"
)

// version and commit are stamped by the build.
var version, commit = "unreleased", ""

// The exit statuses: settings or usage that somebody has to mend are told from
// what went wrong at run time.
const (
	exitOK      = 0
	exitFailed  = 1
	exitMistake = 2
)

const usage = `farebox hands single-use tokens to browsers and mobile apps.

  farebox serve         production: the real vendor, a real Redis (the default)
  farebox dev           everything in one process, no account, no network
  farebox check         tries, before anybody is served, all that serve needs; --session JWT
                        explains one session
  farebox sandbox       only the stand-in for the vendor
  farebox revoke        ends sessions early: --sub U, --sid S or --jti J
  farebox hash --sub U  the hash under which a subject stands in the audit
  farebox healthcheck   asks the local readiness endpoint, for a container
  farebox version       version, commit and Go version

Settings are environment variables; the README lists them.
`

func main() {
	os.Exit(run(untilSignal(), os.Args[1:], os.Stdout, os.Stderr))
}

// untilSignal is a context that the first signal to end ends. A second ends the
// process at once: signals do that again before anybody can see that the first
// one was heard.
func untilSignal() context.Context {
	ctx, end := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		end()
	}()
	return ctx
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name := "serve"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"serve":       serve,
		"dev":         dev,
		"check":       check,
		"sandbox":     sandbox,
		"revoke":      revoke,
		"hash":        hash,
		"healthcheck": healthcheck,
		"version":     printVersion,
		"help":        help, "-h": help, "--help": help,
	}
	command, ok := commands[name]
	if !ok {
		fmt.Fprintf(stderr, "farebox: there is no command of that name\n\n%s", usage)
		return exitMistake
	}
	err := command(ctx, args, stdout, stderr)
	var faults config.Faults
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitMistake
	case errors.Is(err, service.ErrNotReady), errors.Is(err, service.ErrLogged):
		return exitFailed
	case errors.As(err, &faults):
		fmt.Fprintf(stderr, "farebox %s: %s\n", name, faults.Error())
		return exitMistake
	default:
		fmt.Fprintf(stderr, "farebox %s: %s\n", name, err)
		return exitFailed
	}
}

func serve(ctx context.Context, args []string, _, stderr io.Writer) error {
	cfg, err := load(config.Serve, args, stderr, nil)
	if err != nil {
		return err
	}
	return service.Serve(ctx, cfg, thisBuild(), stderr)
}

func dev(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var listenAll bool
	cfg, err := load(config.Dev, args, stderr, func(flags *flag.FlagSet) {
		flags.BoolVar(&listenAll, "listen-all", false, "listen to the whole network, for a container or a phone")
	}, config.ListenAll(&listenAll))
	if err != nil {
		return err
	}
	return service.Dev(ctx, cfg, thisBuild(), listenAll, stdout, stderr)
}

func check(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var asJSON, ofSession bool
	var raw string
	err := parse("check", args, stderr, func(flags *flag.FlagSet) {
		flags.BoolVar(&asJSON, "json", false, "print one JSON document")
		flags.Func("session", "explain the session of this `JWT`; - reads it from standard input, which\nkeeps it out of the list of processes and the shell's history", func(text string) error {
			ofSession, raw = true, text
			return nil
		})
	})
	if err != nil {
		return err
	}
	cfg, err := config.Load(os.Environ(), config.Serve)
	if err != nil {
		return err
	}
	if !ofSession {
		return service.Check(ctx, cfg, asJSON, stdout)
	}
	if raw, err = service.SessionOf(raw, os.Stdin); err != nil {
		return err
	}
	return service.CheckSession(ctx, cfg, raw, asJSON, stdout)
}

func sandbox(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := load(config.Sandbox, args, stderr, nil)
	if err != nil {
		return err
	}
	return service.Sandbox(ctx, cfg, stdout, stderr)
}

func revoke(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var ending revocation.Ending
	var issuer *string
	cfg, err := load(config.Revoke, args, stderr, func(flags *flag.FlagSet) {
		flags.StringVar(&ending.Subject, "sub", "", "end all sessions of this subject")
		flags.StringVar(&ending.SessionID, "sid", "", "end the session of this id")
		flags.StringVar(&ending.TokenID, "jti", "", "end the one JWT of this id")
		flags.Func("iss", "the session's issuer, where it is not FAREBOX_SESSION_ISSUER", func(value string) error {
			issuer = &value
			return nil
		})
	})
	if err != nil {
		return err
	}
	switch {
	case issuer != nil:
		ending.Issuer = *issuer
	case cfg.Session.Issuer == "":
		return usageError(stderr, "farebox revoke: FAREBOX_SESSION_ISSUER is none, so --iss is required: the iss that the session names, or '' where it names none")
	default:
		ending.Issuer = cfg.Session.Issuer
	}
	if !ending.NamesOne() {
		return usageError(stderr, "farebox revoke: one of --sub, --sid and --jti is required")
	}
	if err := service.Revoke(ctx, cfg, ending, stderr); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "Ended. Replicas refuse these sessions within a second.")
	return err
}

func hash(_ context.Context, args []string, stdout, stderr io.Writer) error {
	var subject string
	cfg, err := load(config.Hash, args, stderr, func(flags *flag.FlagSet) {
		flags.StringVar(&subject, "sub", "", "the subject")
	})
	if err != nil {
		return err
	}
	if subject == "" {
		return usageError(stderr, "farebox hash: --sub is required")
	}
	hasher, err := identity.NewHasher(cfg.Secrets)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, hasher.Subject(cfg.Session.Issuer, subject))
	return err
}

func healthcheck(ctx context.Context, args []string, _, stderr io.Writer) error {
	cfg, err := load(config.Healthcheck, args, stderr, nil)
	if err != nil {
		return err
	}
	return service.Healthcheck(ctx, cfg)
}

func printVersion(_ context.Context, _ []string, stdout, _ io.Writer) error {
	build := thisBuild()
	_, err := fmt.Fprintf(stdout, "farebox %s, commit %s, %s\n", build.Version, build.Commit, runtime.Version())
	return err
}

func thisBuild() service.Build {
	return service.Build{Version: version, Commit: cmp.Or(commit, builtFrom(), "unknown")}
}

// builtFrom is the commit as the Go tool has noted it, or "".
func builtFrom() string {
	info, _ := debug.ReadBuildInfo()
	for i := 0; info != nil && i < len(info.Settings); i++ {
		if info.Settings[i].Key == "vcs.revision" {
			return info.Settings[i].Value
		}
	}
	return ""
}

func help(_ context.Context, _ []string, stdout, _ io.Writer) error {
	_, err := io.WriteString(stdout, usage)
	return err
}

// load reads a command's flags, which define adds where it is not nil, and then
// its settings.
func load(command config.Command, args []string, stderr io.Writer, define func(*flag.FlagSet), options ...config.Option) (*config.Config, error) {
	if err := parse(string(command), args, stderr, define); err != nil {
		return nil, err
	}
	return config.Load(os.Environ(), command, options...)
}

func parse(command string, args []string, stderr io.Writer, define func(*flag.FlagSet)) error {
	flags := flag.NewFlagSet("farebox "+command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	if define != nil {
		define(flags)
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return flag.ErrHelp
	case err != nil:
		return errUsage
	}
	if flags.NArg() > 0 {
		return usageError(stderr, fmt.Sprintf("farebox %s takes no arguments", command))
	}
	return nil
}

// errUsage is a mistake in the command line that was told already.
var errUsage = errors.New("usage")

func usageError(stderr io.Writer, message string) error {
	fmt.Fprintln(stderr, message)
	return errUsage
}
