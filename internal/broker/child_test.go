package broker_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// child is a broker in a process of its own.
type child struct {
	addr   string
	stderr bytes.Buffer // complete once exited is closed
	stdin  io.Closer    // closing it asks the child to stop
	exited chan struct{}
	cmd    *exec.Cmd
}

// startChild starts the test binary as a broker and returns when it serves.
func startChild(t *testing.T, mode, dir string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), exited: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"="+mode, childDirEnv+"="+dir)
	c.cmd.Stderr = &c.stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	go func() {
		_ = c.cmd.Wait() // it is killed: there is always an error
		close(c.exited)
	}()
	if err != nil {
		<-c.exited
		t.Fatalf("child did not start: %v\n%s", err, c.stderr.String())
	}
	c.addr = strings.TrimSpace(line)
	return c
}

// kill ends the child with SIGKILL and waits until it is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may be gone already
	<-c.exited
	c.stdin.Close()
}

// waitExit waits until the child has ended by itself.
func (c *child) waitExit(t *testing.T) {
	t.Helper()
	select {
	case <-c.exited:
	case <-time.After(2 * time.Minute):
		t.Fatal("the child is still running")
	}
}
