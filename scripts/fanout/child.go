package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// child is another process of this program. It says what it has done on standard
// output, a line each, and ends when its standard input does.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

func startChild(ctx context.Context, args ...string) (*child, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start another process: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start another process: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start another process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start another process: %w", err)
	}
	return &child{cmd, stdin, bufio.NewScanner(stdout)}, nil
}

// expect waits for a line; a child that fails says why on standard error.
func (c *child) expect(line string) error {
	if !c.lines.Scan() || c.lines.Text() != line {
		return fmt.Errorf("the clients are not %s", line)
	}
	return nil
}

func (c *child) close() {
	c.stdin.Close()
	_ = c.cmd.Wait() // what went wrong was said
}
