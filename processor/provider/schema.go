package provider

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
)

// What the tasks take, for their schemas; [input] reads it, with members for other tasks
// and of the OpenAI API. Nothing is required: all of it may stand in the context.
type (
	completeInput struct {
		Prompt          string           `json:"prompt" doc:"What to answer; or messages."`
		Messages        []jsontext.Value `json:"messages" doc:"Messages {role, content}, in the form of the OpenAI API."`
		Model           string           `json:"model" doc:"The model, or a name of tasklane.yaml."`
		Instructions    string           `json:"instructions" doc:"How to answer."`
		MaxOutputTokens *int64           `json:"max_output_tokens" doc:"The longest answer." schema:"minimum=0"`
		Temperature     *float64         `json:"temperature" schema:"minimum=0"`
		TopP            *float64         `json:"top_p" schema:"minimum=0,maximum=1"`
		Schema          jsontext.Value   `json:"schema" doc:"JSON Schema that the answer has to suit."`
		Rest            jsontext.Value   `json:",embed"`
	}
	embedInput struct {
		Input      jsontext.Value `json:"input" doc:"A text, or a list of texts."`
		Model      string         `json:"model" doc:"The model, or a name of tasklane.yaml."`
		Dimensions *int64         `json:"dimensions" schema:"minimum=0"`
		Rest       jsontext.Value `json:",embed"`
	}
	imageInput struct {
		Prompt string         `json:"prompt" doc:"What the image shows."`
		Model  string         `json:"model" doc:"The model, or a name of tasklane.yaml."`
		N      *int64         `json:"n" doc:"How many images." schema:"minimum=0"`
		Size   string         `json:"size" doc:"For example 1024x1024."`
		Rest   jsontext.Value `json:",embed"`
	}
)

// taskSchemas describe the tasks that a service has.
func taskSchemas(methods map[string]processor.Handler) map[string]processor.TaskSchema {
	schemas := map[string]processor.TaskSchema{
		TaskComplete: processor.Describe[completeInput, Answer](
			"Answers a prompt or messages, streamed as output.", `{"prompt": "Why is the sky blue?"}`),
		RawChat:       {Description: "A request of the OpenAI API, POST /chat/completions."},
		RawResponses:  {Description: "A request of the OpenAI API, POST /responses."},
		RawEmbeddings: {Description: "A request of the OpenAI API, POST /embeddings."},
		TaskEmbed:     processor.Describe[embedInput, any]("Makes embeddings of texts.", `{"input": ["a text"]}`),
		TaskImage:     processor.Describe[imageInput, any]("Makes images.", `{"prompt": "a lighthouse"}`),
	}
	for name := range schemas {
		if methods[name] == nil {
			delete(schemas, name)
		}
	}
	return schemas
}
