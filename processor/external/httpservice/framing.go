package httpservice

import (
	"bytes"
	"io"

	"github.com/aiecs/tasklane/processor/external/message"
)

// document is an answer that is one message.
func document(body io.Reader) func() ([]byte, bool, error) {
	return func() ([]byte, bool, error) {
		whole, err := io.ReadAll(io.LimitReader(body, message.MaxLine+1))
		if err == nil {
			err = io.EOF
		}
		return whole, len(whole) > message.MaxLine, err
	}
}

// lines are an answer's messages, one a line. A last one that has no newline is one.
func lines(body io.Reader) func() ([]byte, bool, error) {
	l := message.NewLines(body)
	return func() ([]byte, bool, error) {
		line, long, err := l.Next()
		return bytes.TrimRight(line, "\r"), long != nil, err
	}
}

// events are the data of an answer's server-sent events. One that has not ended is none, as the format has it.
func events(body io.Reader) func() ([]byte, bool, error) {
	l := lines(body)
	return func() ([]byte, bool, error) {
		var data []byte
		for {
			line, long, err := l()
			switch {
			case long:
				return nil, true, err
			case err != nil:
				return nil, false, err
			case len(line) == 0:
				return data, false, nil
			}
			if more, found := bytes.CutPrefix(line, []byte("data:")); found {
				if data != nil {
					data = append(data, '\n')
				}
				data = append(data, bytes.TrimPrefix(more, []byte(" "))...)
			}
			if len(data) > message.MaxLine {
				return nil, true, nil
			}
		}
	}
}
