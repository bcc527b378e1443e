package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one of the programs that are measured, or that stand around them.
type process struct {
	name string
	addr string // host:port where it answers
	ops  string // and where operators ask it; "" where they cannot
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// launch starts a program with just these variables, its output in a file of its
// name in logs, and waits until it takes connections at addr. It ends with ctx.
func launch(ctx context.Context, logs, name, addr string, env []string, words ...string) (*process, error) {
	output, err := os.Create(filepath.Join(logs, name+"-"+portOf(addr)+".log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	p := &process{name: name, addr: addr, done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, words[0], words[1:]...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, output, output
	if p.cmd.Env == nil {
		p.cmd.Env = []string{}
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return p, nil
		}
		select {
		case <-p.done:
		default:
			if time.Now().Before(deadline) {
				continue
			}
		}
		p.kill()
		said, _ := os.ReadFile(output.Name())
		return nil, fmt.Errorf("%s does not answer: %s", name, said)
	}
}

// stop ends a process as an operator would.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.kill()
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// cpu is how long the process has kept processors busy, its own time and the
// system's for it, by the clock that Linux keeps of each process.
func (p *process) cpu() (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED; see clock_getcpuclockid(3)
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|scheduled), &used); err != nil {
		return 0, fmt.Errorf("the processor time of %s: %w", p.name, err)
	}
	return time.Duration(used.Nano()), nil
}

// resident is the process' memory in bytes, as it is now.
func (p *process) resident() (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	rest, _, _ = strings.Cut(rest, "kB")
	kilobytes, err := strconv.Atoi(strings.TrimSpace(rest))
	return kilobytes << 10, err
}

// portOf is the port of an address.
func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// freeAddr is a loopback address that nothing listens at, with a port below
// those that the system gives to outgoing connections.
func freeAddr() (string, error) {
	for range 1000 {
		addr := "127.0.0.1:" + strconv.Itoa(10_000+rand.IntN(22_000))
		listener, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, listener.Close()
		}
	}
	return "", fmt.Errorf("there is no free port")
}
