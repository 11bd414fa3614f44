//go:build unix

package subprocess

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// incoming is a message that a test's child gets.
type incoming struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Reason  string `json:"reason"`
	Ref     string `json:"ref"`
	TaskID  string `json:"task_id"`
	Error   string `json:"error"`
	Attempt int    `json:"attempt"`
	Task    struct {
		TaskID    string         `json:"task_id"`
		TaskName  string         `json:"task_name"`
		InputData jsontext.Value `json:"input_data"`
	} `json:"task"`
}

// helper is this test binary as a child.
type helper struct {
	in  *bufio.Reader
	mu  sync.Mutex
	out *os.File

	kept []byte
}

func (h *helper) write(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, _ = fmt.Fprintf(h.out, format+"\n", args...) // the test sees what is missing
}

func (h *helper) next() (m incoming, ok bool) {
	line, err := h.in.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &m) != nil {
		return m, false
	}
	return m, true
}

// childMain is a child of a kind; the names of its tasks say what it does.
func childMain(kind string) int {
	h := &helper{in: bufio.NewReaderSize(os.NewFile(3, "in"), 1<<20), out: os.NewFile(4, "out")}
	switch kind {
	case "dies":
		fmt.Fprintln(os.Stderr, "no module named model")
		return 3
	case "mute":
		_, _ = io.Copy(io.Discard, h.in)
		return 0
	case "wrong-protocol":
		h.write(`{"type":"ready","protocol":2}`)
		_, _ = io.Copy(io.Discard, h.in)
		return 0
	case "wrong-schema":
		h.write(`{"type":"ready","protocol":1,"tasks":{"a":{"input":{"type":"nonsense"}}}}`)
		_, _ = io.Copy(io.Discard, h.in)
		return 0
	case "bare":
		return bareEcho(h)
	}
	places, _, _ := strings.Cut(kind, " ")
	h.write(`{"type":"ready","protocol":1,"max_inflight":%s,"version":"v1","tasks":{"*":{},"known":{"input":`+
		`{"type":"object","required":["x"]},"time_limit_ms":5000}}}`, places)
	for {
		m, ok := h.next()
		if !ok || m.Type == "shutdown" {
			return 0
		}
		switch m.Type {
		case "ping":
			h.write(`{"type":"pong"}`)
		case "task":
			if code, ends := h.do(m); ends {
				return code
			}
		case "cancel":
			if m.Reason != "cancelled" || !strings.HasSuffix(kind, "deaf") {
				h.write(`{"type":"cancelled","id":%q}`, m.ID)
			}
		}
	}
}

func bareEcho(h *helper) int {
	h.write(`{"type":"ready","protocol":1,"max_inflight":64}`)
	out := bufio.NewWriterSize(h.out, 64<<10)
	for {
		line, err := h.in.ReadSlice('\n')
		if err != nil {
			return 0
		}
		start := bytes.Index(line, []byte(`"id":"`)) + 6
		end := start + bytes.IndexByte(line[start:], '"')
		_, _ = fmt.Fprintf(out, `{"type":"result","id":"%s","result":{}}`+"\n", line[start:end])
		if h.in.Buffered() == 0 {
			_ = out.Flush()
		}
	}
}

// do is a task; ends if the child does.
func (h *helper) do(m incoming) (code int, ends bool) {
	switch m.Task.TaskName {
	case "echo", "known":
		h.write(`{"type":"result","id":%q,"result":%s}`, m.ID, m.Task.InputData)
	case "who":
		h.write(`{"type":"result","id":%q,"result":{"pid":%d,"child":%q,"gpu":%q,"env":%d}}`, m.ID, os.Getpid(),
			os.Getenv("TASKLANE_CHILD"), os.Getenv("CUDA_VISIBLE_DEVICES"), len(os.Environ()))
	case "reports":
		h.write(`{"type":"progress","id":%q,"current":1,"total":4,"unit":"pages","message":"first"}`, m.ID)
		h.write(`{"type":"output","id":%q,"text":"piece"}`, m.ID)
		h.write(`{"type":"log","id":%q,"level":"warn","message":"careful"}`, m.ID)
		h.write(`{"type":"usage","id":%q,"usage":{"model":"m","input_tokens":3,"output_tokens":4}}`, m.ID)
		h.write(`{"type":"result","id":%q}`, m.ID)
	case "submit":
		h.write(`{"type":"submit","id":%q,"ref":"r","task":{"task_name":"echo"}}`, m.ID)
		for {
			if answer, ok := h.next(); !ok || answer.Type == "submitted" {
				h.write(`{"type":"result","id":%q,"result":{"ref":%q,"task_id":%q,"error":%q}}`, m.ID, answer.Ref, answer.TaskID,
					answer.Error)
				return 0, false
			}
		}
	case "fails":
		h.write(`{"type":"error","id":%q,"message":"no","details":"at line 1"}`, m.ID)
	case "busy":
		h.write(`{"type":"error","id":%q,"message":"busy","retryable":true,"after_ms":1500}`, m.ID)
	case "again":
		h.write(`{"type":"retry","id":%q,"message":"later","after_ms":10,"max_attempts":2}`, m.ID)
	case "waits":
	case "hostile":
		return h.attack(m)
	}
	return 0, false
}

// attack does what a child should not, by the input's kind.
func (h *helper) attack(m incoming) (code int, ends bool) {
	var input struct {
		Kind string `json:"kind"`
	}
	_ = json.Unmarshal(m.Task.InputData, &input)
	raw := func(text string) { _, _ = h.out.WriteString(text) }
	switch input.Kind {
	case "exit":
		fmt.Fprintln(os.Stderr, "Traceback: out of luck")
		return 7, true
	case "exit 0":
		return 0, true
	case "signal":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		<-time.After(time.Hour)
	case "stopped":
		h.write(`{"type":"log","id":%q,"message":"begun"}`, m.ID)
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		<-time.After(time.Hour) // this thread may go on for a moment
	case "silent":
		h.write(`{"type":"log","id":%q,"message":"begun"}`, m.ID)
		<-time.After(time.Hour) // it reads nothing either
	case "grown":
		h.kept = bytes.Repeat([]byte{1}, 96<<20)
		h.write(`{"type":"result","id":%q,"result":"kept"}`, m.ID)
	case "grows":
		var all [][]byte
		for range 128 { // 1 GiB
			all = append(all, bytes.Repeat([]byte{1}, 8<<20))
			<-time.After(20 * time.Millisecond)
		}
		<-time.After(time.Hour)
		runtime.KeepAlive(all)
	case "no json":
		raw("hello\n")
	case "binary":
		raw("\x00\x01\xfe\xff\n")
	case "array":
		raw("[1,2]\n")
	case "half":
		raw(`{"type":"result","id":"` + m.ID + `","res`)
		return 0, true
	case "result and exit":
		h.write(`{"type":"result","id":%q,"result":"kept"}`, m.ID)
		return 1, true
	case "no newline at end":
		raw(`{"type":"result","id":"` + m.ID + `","result":"kept"}`)
		return 0, true
	case "wrong id":
		h.write(`{"type":"result","id":"99999","result":1}`)
	case "id of another type":
		raw(`{"type":"result","id":7,"result":1}` + "\n")
	case "two results":
		h.write(`{"type":"result","id":%q,"result":"first"}`+"\n"+`{"type":"result","id":%q,"result":"second"}`, m.ID, m.ID)
	case "ready again":
		h.write(`{"type":"ready","protocol":1}`)
	case "wrong type":
		raw(`{"type":"error","id":"` + m.ID + `","after_ms":"soon"}` + "\n")
	case "wrong progress":
		raw(`{"type":"progress","id":"` + m.ID + `","percent":"half"}` + "\n")
		h.write(`{"type":"result","id":%q,"result":"kept"}`, m.ID)
	case "unknown type":
		raw(`{"type":"dance","id":"` + m.ID + `"}` + "\n\n")
		h.write(`{"type":"result","id":%q,"result":"kept"}`, m.ID)
	case "unknown member":
		h.write(`{"type":"result","id":%q,"result":"kept","mood":"fine"}`, m.ID)
	case "late report":
		h.write(`{"type":"result","id":%q,"result":"kept"}`, m.ID)
		h.write(`{"type":"output","id":%q,"text":"late"}`, m.ID)
	case "long result":
		h.write(`{"type":"result","id":%q,"result":"%s"}`, m.ID, strings.Repeat("x", 2<<20))
	case "long without id":
		h.write(`{"type":"result","result":"%s","id":%q}`, strings.Repeat("x", 2<<20), m.ID)
	case "endless line":
		raw(`{"type":"output","id":"` + m.ID + `","text":"`)
		piece := strings.Repeat("x", 1<<20)
		for range 1 << 10 {
			if _, err := h.out.WriteString(piece); err != nil {
				break
			}
		}
	case "flood of output":
		for range 2000 {
			h.write(`{"type":"output","id":%q,"text":"x"}`, m.ID)
		}
		h.write(`{"type":"result","id":%q,"result":"kept"}`, m.ID)
	case "flood of print":
		for range 2000 {
			fmt.Println("noise")
		}
		fmt.Print(strings.Repeat("y", 1<<20))
		h.write(`{"type":"result","id":%q,"result":"kept"}`, m.ID)
	case "closes 4":
		_ = h.out.Close()
		<-time.After(time.Hour)
	case "closes 3":
		_ = syscall.Close(3)
		h.write(`{"type":"result","id":%q,"result":"kept"}`, m.ID)
		<-time.After(time.Hour)
	case "fork that stays":
		_ = exec.Command("sleep", "3600").Start() // holds nothing of ours but the group
		return 9, true
	case "fork with 4":
		c := exec.Command("sleep", "60") // nobody ends it
		c.ExtraFiles = []*os.File{h.out, h.out}
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if c.Start() == nil {
			fmt.Fprintln(os.Stderr, "left behind", c.Process.Pid)
		}
		return 9, true
	case "submits nonsense":
		h.write(`{"type":"submit","id":%q,"task":7}`, m.ID)
		if answer, _ := h.next(); strings.Contains(answer.Error, "no JSON object") {
			h.write(`{"type":"result","id":%q,"result":"kept"}`, m.ID)
		}
	case "own last word":
		h.write(`{"type":"cancelled","id":%q}`, m.ID)
	}
	return 0, false
}
