package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// readObject reads a JSON object given on the command line, in a file or on
// standard input.
func readObject(flag, value string, stdin io.Reader) (jsontext.Value, error) {
	var content []byte
	var err error
	switch name, isFile := strings.CutPrefix(value, "@"); {
	case value == "":
		return nil, nil
	case value == "-":
		content, err = io.ReadAll(io.LimitReader(stdin, schemas.MaxTaskBytes+1))
	case isFile:
		content, err = readFile(name)
	default:
		content = []byte(value)
	}
	if err != nil {
		return nil, Usagef("read %s: %w", flag, err)
	}
	if len(content) > schemas.MaxTaskBytes {
		return nil, Usagef("%s has more than the %d bytes a task may have", flag, schemas.MaxTaskBytes)
	}
	object := jsontext.Value(content)
	if !object.IsValid() || object.Kind() != jsontext.KindBeginObject {
		return nil, Usagef("%s must be one JSON object such as '{\"text\": \"hello\"}', @FILE or -; %s",
			flag, whatIsWrong(value, content))
	}
	if err := object.Compact(); err != nil {
		return nil, Usagef("read %s: %w", flag, err)
	}
	return object, nil
}

// whatIsWrong says why a value is no JSON object. What shells and other languages make
// of quotes is told from plain mistakes.
func whatIsWrong(value string, content []byte) string {
	if strings.TrimSpace(string(content)) == "" {
		return "nothing is there"
	}
	onLine := value != "-" && !strings.HasPrefix(value, "@")
	if _, err := os.Stat(value); onLine && err == nil {
		return fmt.Sprintf("for the file of that name write @%s", value)
	}
	object := jsontext.Value(content)
	if object.IsValid() {
		return fmt.Sprintf("it is a %s", kindName(object.Kind()))
	}
	text := strings.TrimSpace(string(content))
	switch {
	case strings.HasPrefix(text, "{'"):
		return "JSON has double quotes around names and texts; put the whole in single quotes"
	case onLine && strings.HasPrefix(text, "{") && !strings.Contains(text, `"`):
		return "the shell has taken its quotes away: put the whole in single quotes"
	}
	if is := schemas.ForeignFormat(content, "decompress it first"); is != "" {
		return "it " + is
	}
	var wrong *jsontext.SyntacticError
	var any jsontext.Value
	if err := json.Unmarshal(content, &any); errors.As(err, &wrong) {
		return fmt.Sprintf("at byte %d: %v", wrong.ByteOffset, wrong.Err)
	}
	return "it is not JSON"
}

func kindName(kind jsontext.Kind) string {
	switch kind {
	case jsontext.KindBeginArray:
		return "list"
	case jsontext.KindString:
		return "text"
	case jsontext.KindNumber:
		return "number"
	case jsontext.KindNull:
		return "null"
	}
	return "true or false"
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // named by the person at the command line
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, schemas.MaxTaskBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	return content, nil
}

// attachment is a file of this machine that a member of input_data is to name.
type attachment struct{ member, path string }

// attachments are the files of --file, each of which is there.
func (f *submitFlags) attachments(input jsontext.Value) (all []attachment, _ error) {
	var members map[string]jsontext.Value
	if len(input) > 0 {
		if err := json.Unmarshal(input, &members); err != nil {
			return nil, Usagef("read --input: %w", err)
		}
	}
	for _, text := range f.files {
		member, path, found := strings.Cut(text, "=")
		if !found || member == "" || path == "" {
			return nil, Usagef("--file %q: want NAME=PATH, NAME being the member of input_data", text)
		}
		if _, taken := members[member]; taken {
			return nil, Usagef("--file %s: input_data has a member %s already", text, member)
		}
		file, err := openFile(path)
		if err != nil {
			return nil, err
		}
		_ = file.Close()
		if members == nil {
			members = map[string]jsontext.Value{}
		}
		members[member] = nil
		all = append(all, attachment{member, path})
	}
	return all, nil
}

// withMember is a JSON object, or none, with one more member behind the others.
func withMember(object jsontext.Value, name string, value any) (jsontext.Value, error) {
	added, err := json.Marshal(map[string]any{name: value})
	if err != nil {
		return nil, fmt.Errorf("add %s to input_data: %w", name, err)
	}
	if inside := strings.TrimSuffix(string(object), "}"); len(inside) > 1 {
		return jsontext.Value(inside + "," + string(added[1:])), nil
	}
	return added, nil
}
