package textanalyzer

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
)

// What the tasks take, for their schemas; readRequest reads it. Members beyond these are
// the sender's own.
type (
	textInput struct {
		Text string         `json:"text" doc:"The text." schema:"required,minLength=1"`
		Rest jsontext.Value `json:",embed"`
	}
	summaryInput struct {
		Text      string         `json:"text" doc:"The text." schema:"required,minLength=1"`
		Sentences *int           `json:"sentences" doc:"How many; 3 if missing." schema:"minimum=1,maximum=20"`
		Rest      jsontext.Value `json:",embed"`
	}
)

func taskSchemas() map[string]processor.TaskSchema {
	return map[string]processor.TaskSchema{
		"analyze_text": processor.Describe[textInput, Analysis](
			"Says the language, sentiment and keywords of a text.", inputExample),
		"detect_language":   processor.Describe[textInput, Language]("Says what language a text is in.", inputExample),
		"analyze_sentiment": processor.Describe[textInput, SentimentResult]("Says how a text feels.", inputExample),
		"extract_keywords":  processor.Describe[textInput, KeywordResult]("Finds the keywords of a text.", inputExample),
		"moderate":          processor.Describe[textInput, Moderation]("Finds what should not be shown.", inputExample),
		"summarize":         processor.Describe[summaryInput, Summary]("Picks a text's main sentences.", inputExample),
	}
}

const inputExample = `{"text": "the text to analyze"}`
