package textanalyzer

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
)

// MaxTextBytes is the longest text taken, in bytes of UTF-8.
const MaxTextBytes = 1 << 20

// request is what a task asks for.
type request struct {
	text      string
	sentences int
	// language is the text's, as the sender says; "" to find out.
	language string
	note     string
}

const sendText = `send {"input_data": {"text": "the text to analyze"}}`

// wrongText says what is wrong with input_data.text and what to send instead.
func wrongText(problem string) error { return processor.Invalid("text", problem+"; "+sendText) }

func readRequest(c *processor.Context) (*request, error) {
	var input struct {
		Text      jsontext.Value `json:"text"`
		Sentences *int           `json:"sentences"`
	}
	var options struct {
		Language string `json:"language"`
		Model    string `json:"model"`
	}
	if err := c.Input(&input); err != nil {
		return nil, fmt.Errorf("%w; %s", err, sendText)
	}
	if err := c.Options(&options); err != nil {
		return nil, fmt.Errorf(`%w; context takes {"language": "en"}`, err)
	}
	text, err := readText(input.Text)
	if err != nil {
		return nil, err
	}
	language, err := readLanguage(options.Language)
	if err != nil {
		return nil, err
	}
	r := &request{text: text, language: language, sentences: defaultSentences}
	if input.Sentences != nil {
		if r.sentences = *input.Sentences; r.sentences < 1 || r.sentences > maxSentences {
			return nil, processor.Invalid("sentences",
				fmt.Sprintf("is %d; send a number from 1 to %d", r.sentences, maxSentences))
		}
	}
	if options.Model != "" {
		r.note = fmt.Sprintf("no model was asked: this service works from its own word lists, so "+
			"context.model %q has no effect", options.Model)
	}
	return r, nil
}

func readText(v jsontext.Value) (string, error) {
	switch kind := v.Kind(); {
	case len(v) == 0:
		return "", wrongText("is missing")
	case kind != jsontext.KindString:
		return "", wrongText("must be a string, not " + describe(kind))
	}
	var text string
	if err := json.Unmarshal(v, &text); err != nil {
		return "", wrongText("is not readable: " + err.Error())
	}
	if strings.TrimSpace(text) == "" {
		return "", wrongText("is empty")
	}
	if len(text) > MaxTextBytes {
		return "", wrongText(fmt.Sprintf("has %d bytes, the most is %d", len(text), MaxTextBytes))
	}
	return text, nil
}

func describe(k jsontext.Kind) string {
	switch k {
	case jsontext.KindNull:
		return "null"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindBeginArray:
		return "an array"
	case jsontext.KindBeginObject:
		return "an object"
	}
	return "a boolean"
}

// readLanguage takes "de", "DE" and "de-AT"; "" and "auto" leave it open.
func readLanguage(s string) (string, error) {
	primary, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), "_", "-"), "-")
	if primary == "" && s == "" || primary == "auto" {
		return "", nil
	}
	if len(primary) != 2 || primary[0] < 'a' || primary[0] > 'z' || primary[1] < 'a' || primary[1] > 'z' {
		problem := fmt.Sprintf(`%q is no ISO 639-1 code; send one like "en" or "pt-BR", or leave it out to have it detected`,
			s)
		return "", &processor.InputError{Member: "context.language", Problem: problem}
	}
	return primary, nil
}
