// Package e2e_test runs the farebox program itself, as real processes.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farebox/internal/apidoc"
	"farebox/internal/redisconn"
)

var (
	// binary is the program under test, built once.
	binary string
	// description is what its public listeners' answers are held against.
	description *apidoc.Description
	listeners   = newListening(announced)
	operators   = newListening(announcedOps)
	spans       *spanKeeper
)

func TestMain(m *testing.M) {
	redisconn.LogTo(slog.New(slog.DiscardHandler))
	os.Exit(func() int {
		var err error
		if description, err = apidoc.Open(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		spans = startSpanKeeper()
		defer spans.Close()
		dir, err := os.MkdirTemp("", "farebox")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "farebox")
		build := exec.Command("go", "build", "-o", binary, "farebox")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building farebox:", err)
			return 1
		}
		return m.Run()
	}())
}

// process is a running program, ended with its test.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	spans string        // the path that it sends spans to; "" where none of this suite's
	done  chan struct{} // closed when it has ended
	err   error         // how, once done is closed

	mu     sync.Mutex
	output bytes.Buffer // standard output and error together
}

// start runs farebox with just these settings.
func start(t *testing.T, args []string, env ...string) *process {
	t.Helper()
	secrets.noteSettings(env)
	cmd := exec.Command(binary, args...)
	env, path := traced(args, append([]string{"PATH=" + os.Getenv("PATH")}, env...))
	cmd.Env = env
	p := launch(t, cmd)
	p.spans = path
	return p
}

// launch starts cmd. One that leads a group of processes is ended with all of it.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = write, write
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines := bufio.NewReader(read); ; {
			line, err := lines.ReadBytes('\n')
			listeners.note(p, line)
			operators.note(p, line)
			p.mu.Lock()
			p.output.Write(line)
			p.mu.Unlock()
			if err != nil {
				_ = read.Close()
				return
			}
		}
	}()
	go func() {
		p.err = p.cmd.Wait()
		<-drained
		listeners.forget(p)
		operators.forget(p)
		close(p.done)
	}()
	t.Cleanup(func() {
		p.scrape()
		if attributes := cmd.SysProcAttr; attributes != nil && attributes.Setpgid {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		_ = cmd.Process.Kill()
		<-p.done
		p.checkLines()
		p.checkLeaks()
		if t.Failed() {
			t.Logf("%s %s printed:\n%s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "), p.text())
		}
	})
	return p
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// printed waits until the output matches and returns the first group.
func (p *process) printed(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.Now().Add(30 * time.Second)
	for {
		if found := re.FindStringSubmatch(p.text()); found != nil {
			return found[len(found)-1]
		}
		select {
		case <-p.done:
			p.t.Fatalf("it ended (%v) before it printed %s", p.err, pattern)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("it never printed %s", pattern)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// wait returns the exit status once it has ended.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		p.t.Fatal("it does not end")
		return -1
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// onLoopback has every listener take a free port.
var onLoopback = []string{
	"FAREBOX_LISTEN=127.0.0.1:0", "FAREBOX_OPS_LISTEN=127.0.0.1:0", "FAREBOX_SANDBOX_LISTEN=127.0.0.1:0",
}

// dev is a running `farebox dev`.
type dev struct {
	*process
	url, ops, sandbox string
}

func startDev(t *testing.T, env ...string) *dev {
	t.Helper()
	p := start(t, []string{"dev"}, append(onLoopback, env...)...)
	d := &dev{process: p}
	d.url = "http://localhost:" + p.printed(`http://localhost:(\d+)`)
	d.sandbox = p.printed(`the sandbox, (http://127\.0\.0\.1:\d+)`)
	d.ops = p.printed(`(http://127\.0\.0\.1:\d+)/readyz`)
	return d
}

// signIn signs someone in at dev.
func (d *dev) signIn(sub string) string {
	d.t.Helper()
	a := do(d.t, http.MethodPost, d.url+"/dev/session", http.Header{"Content-Type": {"application/json"}}, fmt.Sprintf(`{"sub":%q}`, sub))
	session, _ := a.body["session"].(string)
	if a.status != http.StatusOK || session == "" {
		d.t.Fatalf("sign-in: %d %s", a.status, a.raw)
	}
	return session
}

type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func do(t *testing.T, method, url string, header http.Header, body string) answer {
	t.Helper()
	a, err := try(t.Context(), method, url, header, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(ctx context.Context, method, url string, header http.Header, body string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, values := range header {
		r.Header[name] = values
		if name == "Host" {
			r.Host = values[0]
		}
	}
	response, err := (&http.Client{Transport: described(http.DefaultTransport)}).Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, header: response.Header, raw: string(data), body: map[string]any{}}
	_ = json.Unmarshal(data, &a.body)
	return a, nil
}

const scribePath = "/v1/single-use-token/realtime_scribe"

// mint asks base for a token with a session and, where not "", a key.
func mint(t *testing.T, base, path, session, key string) answer {
	t.Helper()
	h := http.Header{"Authorization": {"Bearer " + session}}
	if key != "" {
		h["Idempotency-Key"] = []string{key}
	}
	return do(t, http.MethodPost, base+path, h, "")
}
