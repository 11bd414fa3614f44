package batches

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of an input file.
const (
	MaxLines     = 50_000
	MaxFileBytes = 200 << 20
	maxLineBytes = 2 << 20
	maxFaults    = 100
	maxIDBytes   = 512
)

// Line is a request in an input file.
type Line struct {
	Number   int // from 1
	CustomID string
	Body     jsontext.Value
}

// form is a line as it is written.
type form struct {
	CustomID *string        `json:"custom_id"`
	Method   string         `json:"method"`
	URL      string         `json:"url"`
	Body     jsontext.Value `json:"body"`
}

// errLineTooLong: a line has more bytes than one may.
var errLineTooLong = errors.New("the line is too long")

// eachLine calls f with the lines of an input file that are not empty, until it fails. What f is given is its own
// until it returns. A line that cannot be read has no body.
func eachLine(from io.Reader, f func(number int, text []byte) error) error {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLineBytes)
	number := 0
	for scanner.Scan() {
		number++
		text := bytes.TrimSpace(scanner.Bytes())
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if len(text) == 0 {
			continue
		}
		if err := f(number, text); err != nil {
			return err
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%w: line %d", errLineTooLong, number+1)
	}
	return scanner.Err() //nolint:wrapcheck // the store's, which the caller compares
}

// parseLine reads a line; a Fault says what is wrong with it.
func parseLine(number int, text []byte, endpoint string) (line Line, fault *Fault) {
	wrong := func(code, param, message string) *Fault {
		return &Fault{Code: code, Message: message, Param: optional(param), Line: &number}
	}
	var read form
	if err := json.Unmarshal(text, &read); err != nil {
		return Line{}, wrong("invalid_json_line", "", "this line is no JSON object with custom_id, method, url and body")
	}
	switch {
	case read.CustomID == nil || *read.CustomID == "":
		return Line{}, wrong("missing_required_parameter", "custom_id", "custom_id must be given")
	case len(*read.CustomID) > maxIDBytes:
		return Line{}, wrong("invalid_custom_id", "custom_id", fmt.Sprintf("custom_id may have %d bytes", maxIDBytes))
	case read.Method != http.MethodPost:
		return Line{}, wrong("invalid_method", "method", "method must be POST")
	case read.URL != endpoint:
		return Line{}, wrong("mismatched_url", "url", "url must be the batch's endpoint, "+endpoint)
	case len(read.Body) == 0 || read.Body.Kind() != '{':
		return Line{}, wrong("missing_required_parameter", "body", "body must be the request, a JSON object")
	}
	return Line{Number: number, CustomID: *read.CustomID, Body: read.Body}, nil
}

// inspection checks an input file as a whole.
type inspection struct {
	endpoint string
	check    func(body jsontext.Value) (param, message string)
	ids      map[string]int // lines, by custom_id
	total    int
	faults   []Fault
}

func (i *inspection) line(number int, text []byte) error {
	if i.total++; i.total > MaxLines {
		i.faults = []Fault{{Code: "too_many_requests", Message: fmt.Sprintf("a batch may have %d requests", MaxLines)}}
		return io.EOF
	}
	line, fault := parseLine(number, text, i.endpoint)
	if fault == nil {
		first, twice := i.ids[line.CustomID]
		param, message := i.check(line.Body)
		switch {
		case twice:
			fault = &Fault{Code: "duplicate_custom_id", Message: fmt.Sprintf("line %d has the same custom_id", first),
				Param: optional("custom_id"), Line: &number}
		case message != "":
			fault = &Fault{Code: "invalid_request", Message: message, Param: optional("body." + param), Line: &number}
		}
		i.ids[line.CustomID] = number
	}
	if fault != nil {
		i.faults = append(i.faults, *fault)
	}
	if len(i.faults) >= maxFaults {
		return io.EOF
	}
	return nil
}

// inspect finds out how many requests an input file has, or what is wrong with it. An error is the store's.
func inspect(from io.Reader, endpoint string, check func(jsontext.Value) (param, message string)) (
	total int, faults []Fault, _ error,
) {
	i := &inspection{endpoint: endpoint, check: check, ids: map[string]int{}}
	err := eachLine(from, i.line)
	switch {
	case errors.Is(err, errLineTooLong):
		i.faults = append(i.faults, Fault{Code: "line_too_long", Message: fmt.Sprintf("%v; one may have %d bytes", err,
			maxLineBytes)})
	case err != nil && !errors.Is(err, io.EOF):
		return 0, nil, err
	case i.total == 0:
		i.faults = []Fault{{Code: "empty_file", Message: "the input file has no request in it"}}
	}
	return i.total, i.faults, nil
}
