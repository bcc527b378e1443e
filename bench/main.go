// Command bench measures farebox against what it is held to, all side by side on
// this machine, and prints the tables of bench/RESULTS.md. It needs redis-server,
// node and, for what its programs cost, Linux.
//
// What stands where: the points that are measured in points.go and the files of
// their names; the programs that farebox is held against in floor, direct and
// handwritten; the load program in load; what is started around them in stage.go.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"farebox/internal/redisconn"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// What the load program collects is not to be paid by whom it measures.
	debug.SetGCPercent(800)
	redisconn.LogTo(slog.New(slog.DiscardHandler))
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	farebox := flags.String("farebox", "farebox", "the binary that make build has made")
	number := flags.Int("point", 0, "measure this point alone; 0 for all")
	logs := flags.String("logs", "", "a folder that logs and audits are kept in; they are thrown away without")
	profiles := flags.String("profiles", "", "a folder that profiles of farebox' processor time and memory are kept in, of each round; they cost a little")
	brief := flags.Bool("brief", false, "fewer and shorter rounds, to see that all is well")
	if err := flags.Parse(args); err != nil {
		return err
	}
	scale := whole
	if *brief {
		scale = short
	}
	b, err := newBench(ctx, *farebox, *logs, scale, stderr)
	if err != nil {
		return err
	}
	defer b.close()
	b.profiles = *profiles
	printMachine(ctx, stdout, b, *number, *brief)
	for _, p := range points {
		if *number != 0 && *number != p.number {
			continue
		}
		began := time.Now()
		b.repeated = 0
		b.note("point %d: %s", p.number, p.title)
		rows, err := p.run(ctx, b)
		if err != nil {
			return fmt.Errorf("point %d: %w", p.number, err)
		}
		printTable(stdout, p, rows)
		fmt.Fprintf(stdout, "\nIt took %s", time.Since(began).Round(time.Second))
		if b.repeated > 0 {
			fmt.Fprintf(stdout, "; %d rounds were made again, since Redis did not answer in time", b.repeated)
		}
		fmt.Fprintln(stdout, ".")
	}
	return nil
}

// bench is what all points use.
type bench struct {
	dir, logs               string // for keys, programs and Redis, taken away at the end; for what programs print
	farebox, floor, direct  string // programs
	redisServer, node       string
	handwritten, policyFile string
	signer                  *signer
	scale                   scale
	progress                io.Writer
	profiles                string // a folder for them, "" for none
	profile                 int    // how many there are
	repeated                int    // rounds of the present point that did not count
}

func newBench(ctx context.Context, farebox, logs string, scale scale, progress io.Writer) (_ *bench, err error) {
	b := &bench{scale: scale, progress: progress}
	if b.farebox, err = filepath.Abs(farebox); err != nil {
		return nil, err
	}
	if _, err := os.Stat(b.farebox); err != nil {
		return nil, fmt.Errorf("%w; make build makes it", err)
	}
	if b.redisServer, err = exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("%w; make deps installs it", err)
	}
	if b.node, err = exec.LookPath("node"); err != nil {
		return nil, fmt.Errorf("%w; make deps installs it", err)
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "farebox").Output()
	if err != nil {
		return nil, fmt.Errorf("find the sources: %w", err)
	}
	b.handwritten = filepath.Join(string(root[:len(root)-1]), "bench", "handwritten", "server.js")
	if _, err := os.Stat(filepath.Join(filepath.Dir(b.handwritten), "node_modules")); err != nil {
		return nil, fmt.Errorf("%w; make deps installs it", err)
	}
	if b.dir, err = os.MkdirTemp("", "farebox-bench"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.logs = b.dir; logs != "" {
		if b.logs, err = filepath.Abs(logs); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(b.logs, 0o700); err != nil {
			return nil, err
		}
	}
	for name, path := range map[string]*string{"floor": &b.floor, "direct": &b.direct} {
		*path = filepath.Join(b.dir, name)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", *path, "farebox/bench/"+name)
		if said, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", name, err, said)
		}
	}
	b.policyFile = filepath.Join(b.dir, "policy.yaml")
	if err := os.WriteFile(b.policyFile, []byte(policy), 0o600); err != nil {
		return nil, err
	}
	b.signer, err = newSigner(b.dir)
	return b, err
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

// note tells how far it is, to who waits.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(b.progress, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
