package textanalyzer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aiecs/tasklane/processor"
)

// Mode and Name address the service in a task.
const (
	Mode = "chat"
	Name = "text_analyzer"
)

// New is the service chat/text_analyzer. Its word lists are read with the first
// task.
func New() processor.Service {
	s := &service{load: sync.OnceValues(loadLibrary)}
	methods := map[string]processor.Handler{
		"analyze_text":      s.handler(analyze),
		"detect_language":   s.handler(detectLanguage),
		"analyze_sentiment": s.handler(analyzeSentiment),
		"extract_keywords":  s.handler(extractKeywords),
		"moderate":          s.handler(moderate),
		"summarize":         s.handler(summarize),
	}
	return processor.Service{
		Mode: Mode, Name: Name, Version: "1",
		Description: "Says the language, sentiment and keywords of texts, summarizes and moderates them, without a model.",
		Methods:     methods, Execute: s.execute(methods), Schemas: taskSchemas(),
	}
}

type service struct {
	load func() (*library, error)
}

// work is one text with all that the methods need.
type work struct {
	*library
	*document
	request  *request
	language detection
}

type method func(ctx context.Context, w *work) (any, error)

func (s *service) handler(run method) processor.Handler {
	return func(ctx context.Context, c *processor.Context) (any, error) {
		w, err := s.open(ctx, c)
		if err != nil {
			return nil, err
		}
		return run(ctx, w)
	}
}

func (s *service) open(ctx context.Context, c *processor.Context) (*work, error) {
	r, err := readRequest(c)
	if err != nil {
		return nil, err
	}
	lib, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("load word lists: %w", err)
	}
	doc, err := newDocument(ctx, r.text)
	if err != nil {
		return nil, err
	}
	w := &work{library: lib, document: doc, request: r}
	if w.language = sure(r.language, 1); r.language == "" {
		w.language = lib.detect(doc.tokens)
	}
	return w, nil
}

// code is the language whose lists are used: the text's, or the likeliest one.
func (w *work) code() string { return w.language.Guess }

func (w *work) found() Language {
	l := Language{Code: w.language.Code, Confidence: w.language.Confidence, Note: w.request.note}
	if given := w.request.language; given != "" && !w.lexicons[given].sentimental() {
		missing := fmt.Sprintf("; there is no sentiment lexicon for %q, only emoji counted", given)
		l.Note = strings.TrimPrefix(l.Note+missing, "; ")
	}
	return l
}

func analyze(ctx context.Context, w *work) (any, error) {
	feeling, err := w.sentiment(ctx, w.document, w.code())
	if err != nil {
		return nil, err
	}
	words, err := w.keywords(ctx, w.document, w.code())
	if err != nil {
		return nil, err
	}
	return &Analysis{Language: w.found(), Sentiment: feeling, Keywords: words}, nil
}

func detectLanguage(_ context.Context, w *work) (any, error) {
	l := w.found()
	return &l, nil
}

func analyzeSentiment(ctx context.Context, w *work) (any, error) {
	feeling, err := w.sentiment(ctx, w.document, w.code())
	if err != nil {
		return nil, err
	}
	return &SentimentResult{Language: w.found(), Sentiment: feeling}, nil
}

func extractKeywords(ctx context.Context, w *work) (any, error) {
	words, err := w.keywords(ctx, w.document, w.code())
	if err != nil {
		return nil, err
	}
	return &KeywordResult{Language: w.found(), Keywords: words}, nil
}

func moderate(ctx context.Context, w *work) (any, error) {
	categories, matches, err := w.moderate(ctx, w.document, w.language)
	if err != nil {
		return nil, err
	}
	return &Moderation{Language: w.found(), Flagged: len(categories) > 0, Categories: categories, Matches: matches}, nil
}

func summarize(ctx context.Context, w *work) (any, error) {
	text, err := w.summarize(ctx, w.document, w.code(), w.request.sentences)
	if err != nil {
		return nil, err
	}
	return &Summary{Language: w.found(), Summary: text}, nil
}

// execute answers every other task name with analyze_text and says which names
// there are; without a text it only says so.
func (s *service) execute(methods map[string]processor.Handler) processor.Handler {
	names := make([]string, 0, len(methods))
	for name := range methods {
		names = append(names, name)
	}
	slices.Sort(names)
	known := strings.Join(names, ", ")
	return func(ctx context.Context, c *processor.Context) (any, error) {
		name := c.Task().TaskName
		w, err := s.open(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s/%s has no task %q, it has %s: %w", Mode, Name, name, known, err)
		}
		note := fmt.Sprintf("there is no task %q, so analyze_text was run; there are %s", name, known)
		w.request.note = strings.TrimSuffix(note+"; "+w.request.note, "; ")
		return analyze(ctx, w)
	}
}
