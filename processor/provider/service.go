package provider

import (
	"cmp"
	"context"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// Mode is the mode of all services of providers.
const Mode = "chat"

// Task names of a provider's service; any other is an instruction. The requests of the OpenAI API are task names too,
// see [Raw].
const (
	TaskComplete = "complete"
	TaskEmbed    = "embed"
	TaskImage    = "image"
)

// Answer is the result of complete, and of an instruction.
type Answer struct {
	Text string `json:"text"`
	// Output is the answer as JSON, where a schema was asked for.
	Output       jsontext.Value `json:"output,omitzero"`
	Model        string         `json:"model"`
	Provider     string         `json:"provider"`
	ID           string         `json:"id,omitzero"`
	FinishReason Finish         `json:"finish_reason"`
	ToolCalls    []ToolCall     `json:"tool_calls,omitzero"`
	// Cached says that the answer was given before, and cost nothing.
	Cached bool `json:"cached,omitzero"`
}

// Service is the service of a provider: chat/NAME. Tasks wait for the flow's limits and budgets before they start, and
// take no slot meanwhile.
func Service(name string, p Provider, flow *Flow) processor.Service {
	if flow.providers[name] == nil {
		flow.add(name, p)
	}
	s := &service{name: name, provider: p, flow: flow}
	made := processor.Service{
		Mode: Mode, Name: name, Version: "1", Execute: s.complete,
		Description: "Asks models of the provider " + name + "; any task name is an instruction.",
		Methods:     map[string]processor.Handler{TaskComplete: s.complete, RawChat: s.raw, RawResponses: s.raw},
		Admit:       func(t *schemas.Task) (processor.Grant, *processor.Wait) { return flow.admit(name, t) },
		Warnings:    flow.warnings,
		WriteMetrics: func(w io.Writer) {
			if flow.meteredBy.CompareAndSwap(nil, s); flow.meteredBy.Load() == s {
				flow.WritePrometheus(w)
			}
		},
		Background: func(ctx context.Context, at processor.Cluster) error {
			if flow.limited() && flow.sharing.CompareAndSwap(false, true) {
				return flow.Run(ctx, at)
			}
			return nil
		},
	}
	if _, ok := p.(Embedder); ok {
		made.Methods[TaskEmbed] = s.embed
	}
	if _, ok := p.(Raw); ok {
		made.Methods[RawEmbeddings] = s.raw
	}
	if _, ok := p.(ImageMaker); ok {
		made.Methods[TaskImage] = s.image
	}
	made.Schemas = taskSchemas(made.Methods)
	return made
}

type service struct {
	name     string
	provider Provider
	flow     *Flow
}

// complete asks for an answer. A task name that is no method is the instruction.
func (s *service) complete(ctx context.Context, c *processor.Context) (any, error) {
	task := c.Task()
	read, instruction := readInput, ""
	if task.TaskName != TaskComplete && task.TaskName != RawChat && task.TaskName != RawResponses {
		read, instruction = readInstruction, strings.TrimSpace(strings.ReplaceAll(task.TaskName, "_", " "))
	}
	in, err := read(c)
	if err != nil {
		return nil, err
	}
	r, err := in.request(task)
	if err != nil {
		return nil, err
	}
	var parts [][]Part
	for _, m := range r.Messages {
		parts = append(parts, m.Parts)
	}
	if err := loadImages(ctx, c, parts...); err != nil {
		return nil, err
	}
	r.Instructions = strings.TrimSpace(r.Instructions + "\n\n" + instruction)
	if len(r.Messages) == 0 {
		return nil, processor.Invalid("prompt", "is missing: give prompt, or messages [{role, content}]")
	}
	check, err := newChecker(r.Schema)
	if err != nil {
		return nil, err
	}
	bytes, images := r.size()
	q := &query{service: s, context: c, task: task, bytes: bytes, images: images, maxOutput: r.MaxOutputTokens,
		hedges: true}
	q.ask = func(ctx context.Context, p Provider, model string, onDelta func(Delta) error) (Result, error) {
		own := r // several may be on their way
		own.Model = model
		return p.Complete(ctx, own, onDelta)
	}
	q.judge = func(result Result) error { return judge(result, check) }
	result, cached, err := s.cached(ctx, q, in, &r)
	if err != nil {
		return nil, err
	}
	answer := Answer{Text: result.Text, Model: result.Model, Provider: cmp.Or(result.Provider, s.name), ID: result.ID,
		FinishReason: cmp.Or(result.Finish, FinishStop), ToolCalls: result.ToolCalls, Cached: cached}
	if check != nil && len(result.ToolCalls) == 0 {
		answer.Output, _ = check.check(result.Text) // was checked
	}
	return answer, nil
}

// cached runs a question, through the cache if the task asks for it.
func (s *service) cached(ctx context.Context, q *query, in *input, r *Request) (result Result, cached bool, err error) {
	q.model = r.Model
	if in.Cache == nil {
		result, err = q.run(ctx)
		return result, false, err
	}
	if in.Cache.TTLMS <= 0 {
		return result, false, processor.Invalid("cache.ttl_ms", "must be how long an answer is good, in milliseconds")
	}
	key, err := keyFor(q.task.UserID, s.flow.route(s.name, r.Model), r)
	if err != nil {
		return result, false, err
	}
	for {
		if result, ok := s.flow.cache.get(key, time.Now()); ok {
			return result, true, q.context.Output(ctx, result.Text)
		}
		done, lead := s.flow.cache.lead(ctx, key)
		switch {
		case ctx.Err() != nil:
			if lead {
				done()
			}
			return result, false, context.Cause(ctx)
		case lead:
			defer done()
			if result, err = q.run(ctx); err == nil {
				s.flow.cache.put(key, result, time.Duration(in.Cache.TTLMS)*time.Millisecond, time.Now())
			}
			return result, false, err
		}
	}
}

// judge is what is wrong with an answer that came whole.
func judge(r Result, check *checker) error {
	wrong := func(kind Kind, code, message string) error {
		return &Error{Provider: r.Provider, Kind: kind, Code: code, Message: message, Usage: r.Usage}
	}
	switch {
	case r.Finish == FinishRefusal:
		return wrong(Refused, "refusal", cmp.Or(r.Text, "the model would not answer"))
	case check == nil || len(r.ToolCalls) > 0:
		return nil
	case r.Finish == FinishLength:
		return wrong(Length, "length", "the answer was cut off at the most tokens, so it has not the form of the schema")
	}
	if _, err := check.check(r.Text); err != nil {
		return wrong(WrongForm, "wrong_form", err.Error())
	}
	return nil
}

// raw sends a request of the OpenAI API on, where the provider speaks that; else its neutral form is asked.
func (s *service) raw(ctx context.Context, c *processor.Context) (any, error) {
	task := c.Task()
	if _, ok := s.provider.(Raw); !ok {
		return s.complete(ctx, c)
	}
	ask := peek(task)
	q := &query{service: s, context: c, task: task, bytes: ask.bytes, maxOutput: ask.maxOutput, model: ask.model,
		hedges: task.TaskName != RawEmbeddings}
	q.ask = func(ctx context.Context, p Provider, model string, onDelta func(Delta) error) (Result, error) {
		to, ok := p.(Raw)
		if !ok {
			return Result{}, &Error{Provider: p.Name(), Kind: BadRequest, Code: "not_compatible",
				Message: "does not speak the OpenAI API, so that this request cannot fall back to it"}
		}
		return to.Raw(ctx, task.TaskName, model, task.InputData, onDelta)
	}
	result, err := q.run(ctx)
	if err != nil {
		return nil, err
	}
	return result.Raw, nil
}

// embed asks for vectors: {input: a text or texts} → {vectors, model, provider}.
func (s *service) embed(ctx context.Context, c *processor.Context) (any, error) {
	in, err := readInput(c)
	if err != nil {
		return nil, err
	}
	inputs, err := texts("input", in.Input)
	if err != nil {
		return nil, err
	}
	if in.Prompt != "" {
		inputs = append(inputs, in.Prompt)
	}
	if len(inputs) == 0 {
		return nil, processor.Invalid("input", "is missing: give a text or a list of texts")
	}
	var made EmbedResult
	r := EmbedRequest{Inputs: inputs, Dimensions: in.Dimensions, User: c.Task().UserID, Options: in.Options}
	q := &query{service: s, context: c, task: c.Task(), model: in.Model, maxOutput: 1}
	for _, text := range inputs {
		q.bytes += len(text)
	}
	q.ask = func(ctx context.Context, p Provider, model string, _ func(Delta) error) (Result, error) {
		e, ok := p.(Embedder)
		if !ok {
			return Result{}, &Error{Provider: p.Name(), Kind: BadRequest, Code: "no_embeddings", Message: "has no embeddings"}
		}
		r.Model = model
		var err error
		made, err = e.Embed(ctx, r)
		return Result{Provider: p.Name(), Model: made.Model, Usage: made.Usage}, err
	}
	result, err := q.run(ctx)
	if err != nil {
		return nil, err
	}
	return struct {
		Vectors  [][]float64 `json:"vectors"`
		Model    string      `json:"model"`
		Provider string      `json:"provider"`
	}{made.Vectors, result.Model, result.Provider}, nil
}

// image asks for images: {prompt, n, size, images} → {images: [{mime, base64 or url}], model, provider}.
func (s *service) image(ctx context.Context, c *processor.Context) (any, error) {
	in, err := readInput(c)
	if err != nil {
		return nil, err
	}
	if in.Prompt == "" {
		return nil, processor.Invalid("prompt", "is missing: say what the image shows")
	}
	from, err := readImages(in.Images)
	if err != nil {
		return nil, err
	}
	if err := loadImages(ctx, c, from); err != nil {
		return nil, err
	}
	r := ImageRequest{Prompt: in.Prompt, N: in.N, Size: in.Size, Images: from, User: c.Task().UserID, Options: in.Options}
	var made ImageResult
	q := &query{service: s, context: c, task: c.Task(), model: in.Model, bytes: len(in.Prompt),
		images: int64(len(from)) * imageTokens}
	q.ask = func(ctx context.Context, p Provider, model string, _ func(Delta) error) (Result, error) {
		m, ok := p.(ImageMaker)
		if !ok {
			return Result{}, &Error{Provider: p.Name(), Kind: BadRequest, Code: "no_images", Message: "makes no images"}
		}
		r.Model = model
		var err error
		made, err = m.Image(ctx, r)
		return Result{Provider: p.Name(), Model: made.Model, Usage: made.Usage}, err
	}
	result, err := q.run(ctx)
	if err != nil {
		return nil, err
	}
	type image struct {
		MIME   string `json:"mime,omitzero"`
		Base64 string `json:"base64,omitzero"`
		URL    string `json:"url,omitzero"`
	}
	var images []image
	for _, i := range made.Images {
		images = append(images, image{i.MIME, i.Base64, i.ImageURL})
	}
	return struct {
		Images   []image `json:"images"`
		Model    string  `json:"model"`
		Provider string  `json:"provider"`
	}{images, result.Model, result.Provider}, nil
}
