package vertex

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/genai"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
	"github.com/aiecs/tasklane/schemas"
)

// Complete asks a model to generate content.
func (p *Provider) Complete(ctx context.Context, r provider.Request,
	onDelta func(provider.Delta) error) (provider.Result, error) {
	contents, config, err := contentsOf(r)
	if err != nil {
		return provider.Result{}, p.badRequest(err)
	}
	ctx, call := p.transport.Begin(ctx)
	c := &content{model: r.Model, onDelta: onDelta}
	if !r.Stream {
		response, err := p.client.Models.GenerateContent(ctx, r.Model, contents, config)
		if broke := call.Broke(ctx); broke != nil {
			return c.result(p.name), broke
		}
		if err != nil {
			return c.result(p.name), p.explain(ctx, call, err)
		}
		if err := c.add(response); err != nil {
			return c.result(p.name), err
		}
		return c.result(p.name), c.outcome(call)
	}
	call.ExpectStream()
	for response, err := range p.client.Models.GenerateContentStream(ctx, r.Model, contents, config) {
		if broke := call.Broke(ctx); broke != nil {
			return c.result(p.name), broke
		}
		if err != nil {
			return c.result(p.name), p.explain(ctx, call, err)
		}
		if err := c.add(response); err != nil {
			return c.result(p.name), err
		}
	}
	if broke := call.Broke(ctx); broke != nil && !c.ended() {
		return c.result(p.name), broke
	}
	return c.result(p.name), c.outcome(call)
}

func (p *Provider) badRequest(err error) error {
	return &provider.Error{Provider: p.name, Kind: provider.BadRequest, Code: "invalid_request", Message: err.Error()}
}

// content is an answer, put together from its parts.
type content struct {
	model   string
	onDelta func(provider.Delta) error

	id, version string
	text        strings.Builder
	received    int
	tools       []provider.ToolCall
	images      []provider.Part
	finish      genai.FinishReason
	blocked     bool
	usage       *genai.GenerateContentResponseUsageMetadata
}

// add takes the next part. Of several candidates the first is the answer.
func (c *content) add(r *genai.GenerateContentResponse) error {
	if r.ResponseID != "" {
		c.id = r.ResponseID
	}
	if r.ModelVersion != "" {
		c.version = r.ModelVersion
	}
	if r.UsageMetadata != nil {
		c.usage = r.UsageMetadata
	}
	c.blocked = c.blocked || r.PromptFeedback != nil && r.PromptFeedback.BlockReason != ""
	if len(r.Candidates) == 0 {
		return nil
	}
	first := r.Candidates[0]
	if first.FinishReason != "" && first.FinishReason != genai.FinishReasonUnspecified {
		c.finish = first.FinishReason
	}
	if first.Content == nil {
		return nil
	}
	for _, part := range first.Content.Parts {
		if part == nil {
			continue
		}
		if err := c.pass(c.part(part)); err != nil {
			return err
		}
	}
	return nil
}

func (c *content) part(part *genai.Part) (d provider.Delta) {
	c.received += len(part.Text)
	switch {
	case part.FunctionCall != nil:
		arguments, err := json.Marshal(part.FunctionCall.Args)
		if err != nil || part.FunctionCall.Args == nil {
			arguments = []byte("{}")
		}
		id := part.FunctionCall.ID
		if id == "" {
			id = fmt.Sprintf("call_%d", len(c.tools)) // Vertex gives none; answers are found by the name
		}
		c.received += len(arguments)
		c.tools = append(c.tools, provider.ToolCall{ID: id, Name: part.FunctionCall.Name, Arguments: string(arguments)})
		d.Tool = &c.tools[len(c.tools)-1]
	case part.InlineData != nil:
		c.images = append(c.images, provider.Part{MIME: part.InlineData.MIMEType, Base64: encode(part.InlineData.Data)})
	case part.Thought:
		d.Reasoning = part.Text
	default:
		c.text.WriteString(part.Text)
		d.Text = part.Text
	}
	return d
}

func (c *content) pass(d provider.Delta) error {
	if c.onDelta == nil || d.Text == "" && d.Reasoning == "" && d.Tool == nil {
		return nil
	}
	return c.onDelta(d)
}

// outcome is what is wrong with an answer that has come to its end.
func (c *content) outcome(call *transport.Call) error {
	switch {
	case !c.ended():
		return call.Unended()
	case !c.blocked && malformed(c.finish):
		e := call.Failed(string(c.finish), "the model called a function in a way that cannot be read")
		e.Kind = provider.WrongForm
		return e
	}
	return nil
}

// malformed reports whether the model ended with something that is no answer; the next time it may make one.
func malformed(finish genai.FinishReason) bool {
	switch finish {
	case genai.FinishReasonMalformedFunctionCall, genai.FinishReasonUnexpectedToolCall,
		genai.FinishReasonTooManyToolCalls, "MALFORMED_RESPONSE":
		return true
	}
	return false
}

// ended reports whether the answer has its end mark, a reason to finish.
func (c *content) ended() bool { return c.finish != "" || c.blocked }

func (c *content) result(name string) provider.Result {
	result := provider.Result{Provider: name, ID: c.id, Model: c.version, Text: c.text.String(), ToolCalls: c.tools,
		Finish: provider.FinishStop, Usage: normal(c.usage, c.ended(), c.received)}
	switch {
	case c.blocked || refusal(c.finish):
		result.Finish = provider.FinishRefusal
	case c.finish == genai.FinishReasonMaxTokens, c.finish == genai.FinishReasonContinuation:
		result.Finish = provider.FinishLength
	case len(c.tools) > 0:
		result.Finish = provider.FinishTools
	}
	return result
}

// refusal reports whether a filter ended the answer.
func refusal(finish genai.FinishReason) bool {
	switch finish {
	case genai.FinishReasonSafety, genai.FinishReasonRecitation, genai.FinishReasonBlocklist,
		genai.FinishReasonProhibitedContent, genai.FinishReasonSPII, genai.FinishReasonImageSafety,
		genai.FinishReasonImageProhibitedContent, genai.FinishReasonImageRecitation, genai.FinishReasonLanguage,
		genai.FinishReasonOther, genai.FinishReasonImageOther:
		return true
	}
	return false
}

// bytesPerToken is what a token is about.
const bytesPerToken = 3.5

// normal is usage in the normal form, nil if nothing was told: Vertex counts thoughts beside candidates, and what tools
// brought beside the prompt. Without the answer's end its output is estimated from the bytes of it that came.
func normal(u *genai.GenerateContentResponseUsageMetadata, ended bool, received int) *schemas.Usage {
	if u == nil || max(u.PromptTokenCount, u.CandidatesTokenCount, u.ThoughtsTokenCount, u.ToolUsePromptTokenCount) <= 0 {
		return nil
	}
	thoughts := int64(max(0, u.ThoughtsTokenCount))
	n := &schemas.Usage{
		InputTokens:  int64(max(0, u.PromptTokenCount)) + int64(max(0, u.ToolUsePromptTokenCount)),
		OutputTokens: int64(max(0, u.CandidatesTokenCount)) + thoughts, ReasoningTokens: thoughts,
	}
	n.CachedTokens = min(int64(max(0, u.CachedContentTokenCount)), n.InputTokens)
	switch u.TrafficType {
	case genai.TrafficTypeOnDemandPriority:
		n.Tier = "priority"
	case genai.TrafficTypeOnDemandFlex:
		n.Tier = "flex"
	}
	if !ended {
		n.OutputTokens, n.Estimated = max(n.OutputTokens, int64(float64(received)/bytesPerToken+0.999)), true
	}
	return n
}
