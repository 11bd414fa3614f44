package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aiecs/tasklane/scripts/program"
)

// broker is what the processors work on; its nodes can be killed and frozen.
type broker interface {
	// Addrs are the nodes' addresses; they stay the same over restarts.
	Addrs() []string
	// PIDs are the processes of the nodes that run.
	PIDs() []int
	// Signal sends a signal to a node, and waits until one that is killed has ended and one that is stopped is at rest.
	Signal(node int, s syscall.Signal) error
	// Start brings back what was killed and waits until it answers.
	Start(ctx context.Context) error
	// Close ends all nodes.
	Close()
	// MemoryLimit is how much a node may hold, in bytes.
	MemoryLimit() int64
}

// embedded is the embedded broker in a process of its own.
type embedded struct {
	binary, dir, addr string
	process           *program.Process
}

func newEmbedded(ctx context.Context, binary, dir string) (*embedded, error) {
	addresses, err := program.FreeAddresses(ctx, dir, 1)
	if err != nil {
		return nil, err
	}
	return &embedded{binary: binary, dir: dir, addr: addresses[0]}, nil
}

func (e *embedded) Addrs() []string    { return []string{e.addr} }
func (e *embedded) MemoryLimit() int64 { return 1 << 30 }

func (e *embedded) PIDs() []int {
	if e.process == nil || !e.process.Running() {
		return nil
	}
	return []int{e.process.PID()}
}

func (e *embedded) Signal(_ int, s syscall.Signal) error {
	e.process.Signal(s)
	switch s {
	case syscall.SIGKILL:
		<-e.process.Exited()
	case syscall.SIGSTOP:
		return program.AwaitStopped(context.Background(), e.process.PID())
	}
	return nil
}

func (e *embedded) Start(ctx context.Context) error {
	if len(e.PIDs()) > 0 {
		return nil
	}
	var err error
	e.process, err = program.LaunchWithin(e.MemoryLimit(), e.binary, "broker", filepath.Join(e.dir, "broker.log"),
		"broker", "--broker-addr", e.addr,
		"--data-dir", filepath.Join(e.dir, "broker"), "--log-format", "json")
	if err != nil {
		return err
	}
	return e.process.WaitReady(ctx)
}

func (e *embedded) Close() {
	if e.process != nil {
		_ = e.process.Stop()
	}
}

// kafka is an Apache Kafka of scripts/kafka, one node or three.
type kafka struct {
	dir   string
	port  int
	nodes int
}

func (k *kafka) MemoryLimit() int64 { return 2 << 30 }

func (k *kafka) Addrs() []string {
	var addrs []string
	for node := range k.nodes {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", k.port+10*node))
	}
	return addrs
}

func (k *kafka) pid(node int) int {
	text, err := os.ReadFile(filepath.Join(k.dir, fmt.Sprint("node-", node+1), "pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

func (k *kafka) PIDs() []int {
	var pids []int
	for node := range k.nodes {
		if pid := k.pid(node); pid > 0 && program.Resident(pid) > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Signal implements broker. The port of a node that is killed must be free.
func (k *kafka) Signal(node int, s syscall.Signal) error {
	pid := k.pid(node)
	if pid == 0 {
		return fmt.Errorf("signal node %d: it has no process id", node+1)
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("signal node %d: %w", node+1, err)
	}
	if s == syscall.SIGSTOP {
		return program.AwaitStopped(context.Background(), pid)
	}
	for range 500 {
		if s != syscall.SIGKILL || program.Resident(pid) == 0 {
			break
		}
		<-time.NewTimer(10 * time.Millisecond).C
	}
	return nil
}

func (k *kafka) Start(ctx context.Context) error {
	if len(k.PIDs()) == 0 {
		var err error
		// While nobody listens there, a connection to elsewhere may have the port.
		if !program.Until(ctx, 20*time.Second, func() bool { err = k.free(); return err == nil }) {
			return err
		}
	}
	return k.script(ctx, "up.sh", strconv.Itoa(k.nodes))
}

// free wants nobody else on the ports: a node that is killed would be replaced by
// a node of another cluster.
func (k *kafka) free() error {
	for _, addr := range k.Addrs() {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
		if err != nil {
			return fmt.Errorf("start Apache Kafka: %w; choose other ports with -kafka-port", err)
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("start Apache Kafka: %w", err)
		}
	}
	return nil
}

func (k *kafka) Close() {
	for node := range k.nodes {
		_ = k.Signal(node, syscall.SIGCONT)
	}
	_ = k.script(context.Background(), "down.sh", "--wipe")
}

func (k *kafka) script(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join("scripts", "kafka", name), args...)
	command.Env = append(os.Environ(), "TASKLANE_KAFKA_DIR="+k.dir, fmt.Sprint("TASKLANE_KAFKA_PORT=", k.port))
	// Not a pipe: the nodes inherit it and would keep it open.
	said, err := os.CreateTemp("", "chaos-kafka-")
	if err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	defer os.Remove(said.Name())
	defer said.Close()
	command.Stderr = said
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		return fmt.Errorf("run %s: %w: %s", name, err, bytes.TrimSpace(text))
	}
	return nil
}
