package schemas

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// eventRoom is enough for the event of a started task without growing.
const eventRoom = 640

// Encode is the event's wire form. Texts that are not UTF-8 are repaired, with U+FFFD in the place of each bad byte:
// they come from services and must not keep a task from ending. It fails if Result or Unknown is not valid JSON, a
// number is not finite or a time has a year beyond 9999.
//
// It runs at least twice for every task, so it is written by hand, which takes
// a third of the time; a property test holds it to what the struct's tags say.
func (e *Event) Encode() ([]byte, error) {
	room := eventRoom + len(e.TaskID) + len(e.UserID) + 2*len(e.Message) + len(e.Result) + len(e.Error)
	return e.AppendTo(make([]byte, 0, room))
}

// AppendTo appends what Encode returns to b, for who writes one event after the other into the same bytes.
func (e *Event) AppendTo(b []byte) ([]byte, error) {
	if len(e.Unknown) > 0 {
		encoded, err := e.encodeReflected()
		return append(b, encoded...), err
	}
	a := appender{b: b}
	a.head(e)
	a.outcome(e)
	a.details(e)
	a.raw("}")
	if a.err != nil {
		return b, fmt.Errorf("encode event %s: %w", e.EventID, a.err)
	}
	return a.b, nil
}

// encodeReflected is the same by reflection, for the rare event that was read from a newer version and is passed on.
func (e *Event) encodeReflected() ([]byte, error) {
	b, err := json.Marshal(e, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.EventID, err)
	}
	return b, nil
}

// appender writes JSON members; it keeps the first error. Every prefix is a
// member's name as it stands on the wire, with the comma before it.
type appender struct {
	b   []byte
	err error
}

func (a *appender) head(e *Event) {
	a.text(`{"event_id":`, e.EventID)
	a.text(`,"task_id":`, e.TaskID)
	a.text(`,"user_id":`, e.UserID)
	a.integer(`,"attempt":`, int64(e.Attempt))
	a.text(`,"kind":`, string(e.Kind))
	a.text(`,"status":`, string(e.Status))
	a.integer(`,"step":`, int64(e.Step))
	a.text(`,"task":`, e.Task)
	a.text(`,"message":`, e.Message)
	a.time(`,"time":`, e.Time)
	a.text(`,"lane":`, e.Lane)
	a.text(`,"mode":`, e.Mode)
	a.text(`,"service":`, e.Service)
	a.text(`,"worker":`, e.Worker)
	a.someText(`,"batch_id":`, e.BatchID)
}

func (a *appender) outcome(e *Event) {
	if e.Result != nil {
		a.raw(`,"result":`)
		if e.ResultChecked {
			a.b = append(a.b, e.Result...)
		} else {
			a.value(e.Result)
		}
	}
	if f := e.ResultArtifact; f != nil {
		a.text(`,"result_artifact":{"artifact":`, f.Hash)
		a.someText(`,"name":`, f.Name)
		a.someText(`,"type":`, f.Type)
		a.someInteger(`,"size":`, f.Size)
		a.raw("}")
	}
	a.someText(`,"error":`, e.Error)
	a.someText(`,"error_code":`, string(e.ErrorCode))
	if u := e.Upstream; u != nil {
		a.text(`,"upstream":{"name":`, u.Name)
		a.someInteger(`,"status":`, int64(u.Status))
		a.someText(`,"code":`, u.Code)
		a.someText(`,"kind":`, u.Kind)
		a.someText(`,"message":`, u.Message)
		a.raw("}")
	}
	a.someText(`,"duplicate_of":`, e.DuplicateOf)
	if w := e.Waiting; w != nil {
		a.text(`,"waiting":{"for":`, w.For)
		a.someTime(`,"until":`, w.Until)
		a.someText(`,"reason":`, w.Reason)
		a.someText(`,"by":`, w.By)
		a.someText(`,"name":`, w.Name)
		a.raw("}")
	}
	if e.Deferred {
		a.raw(`,"deferred":true`)
	}
	a.someTime(`,"next_attempt_at":`, e.NextAttemptAt)
}

func (a *appender) details(e *Event) {
	if p := e.Progress; p != nil {
		a.float(`,"progress":{"percent":`, p.Percent)
		a.someInteger(`,"current":`, p.Current)
		a.someInteger(`,"total":`, p.Total)
		a.someText(`,"unit":`, p.Unit)
		a.raw("}")
	}
	if o := e.Output; o != nil {
		a.integer(`,"output":{"index":`, o.Index)
		a.text(`,"text":`, o.Text)
		if o.Data != nil {
			a.raw(`,"data":`)
			a.value(o.Data)
		}
		a.raw("}")
	}
	if u := e.Usage; u != nil {
		a.usage(u)
	}
	if l := e.Log; l != nil {
		a.text(`,"log":{"level":`, l.Level)
		a.text(`,"text":`, l.Text)
		a.raw("}")
	}
	if c := e.Checkpoint; c != nil {
		a.text(`,"checkpoint":{"name":`, c.Name)
		a.raw(`,"result":`)
		a.valueOrNull(c.Result)
		a.raw("}")
	}
	if m := e.Metrics; m != nil {
		a.metrics(m)
	}
	if e.Files != nil {
		a.files(e.Files)
	}
	if s := e.Source; s != nil {
		a.text(`,"source":{"topic":`, s.Topic)
		a.integer(`,"partition":`, int64(s.Partition))
		a.integer(`,"offset":`, s.Offset)
		a.someText(`,"wait":`, s.Wait)
		a.someInteger(`,"wait_offset":`, s.WaitOffset)
		a.someText(`,"claim":`, s.Claim)
		a.raw("}")
	}
}

func (a *appender) usage(u *Usage) {
	a.text(`,"usage":{"model":`, u.Model)
	a.someText(`,"provider":`, u.Provider)
	a.integer(`,"input_tokens":`, u.InputTokens)
	a.someInteger(`,"cached_tokens":`, u.CachedTokens)
	a.someInteger(`,"cache_write_tokens":`, u.CacheWriteTokens)
	a.someInteger(`,"cache_write_1h_tokens":`, u.CacheWrite1hTokens)
	a.integer(`,"output_tokens":`, u.OutputTokens)
	a.someInteger(`,"reasoning_tokens":`, u.ReasoningTokens)
	a.someText(`,"service_tier":`, u.Tier)
	if u.CostPicodollars != nil {
		a.integer(`,"cost_picodollars":`, *u.CostPicodollars)
	}
	if u.Estimated {
		a.raw(`,"estimated":true`)
	}
	a.raw("}")
}

func (a *appender) metrics(m *Metrics) {
	a.float(`,"metrics":{"queued_ms":`, m.QueuedMS)
	a.float(`,"run_ms":`, m.RunMS)
	var names []string // nearly always none
	if len(m.Own) > 0 {
		names = slices.Sorted(maps.Keys(m.Own))
	}
	for _, name := range names {
		if name == "queued_ms" || name == "run_ms" || !utf8.ValidString(name) {
			a.fail(fmt.Errorf("metrics cannot have a number of the service named %q", name))
		}
		a.text(",", name)
		a.float(":", m.Own[name])
	}
	a.raw("}")
}

func (a *appender) files(files []File) {
	a.raw(`,"files":[`)
	for i := range files {
		if i > 0 {
			a.raw(",")
		}
		a.text(`{"path":`, files[i].Path)
		a.text(`,"operation":`, files[i].Operation)
		a.someInteger(`,"bytes":`, files[i].Bytes)
		a.raw("}")
	}
	a.raw("]")
}

func (a *appender) raw(text string) { a.b = append(a.b, text...) }

func (a *appender) text(prefix, s string) {
	a.raw(prefix)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			// The error is about bad UTF-8, which has been replaced.
			a.b, _ = jsontext.AppendQuote(a.b, s)
			return
		}
	}
	a.b = append(append(append(a.b, '"'), s...), '"')
}

func (a *appender) someText(prefix, s string) {
	if s != "" {
		a.text(prefix, s)
	}
}

func (a *appender) integer(prefix string, n int64) {
	a.raw(prefix)
	a.b = strconv.AppendInt(a.b, n, 10)
}

func (a *appender) someInteger(prefix string, n int64) {
	if n != 0 {
		a.integer(prefix, n)
	}
}

func (a *appender) float(prefix string, f float64) {
	a.raw(prefix)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		a.fail(fmt.Errorf("%v after %s is not a number that JSON has", f, prefix))
		return
	}
	a.b = jsontext.AppendFloat(a.b, f, 64)
}

func (a *appender) someTime(prefix string, t *Time) {
	if t != nil && !t.IsZero() {
		a.time(prefix, *t)
	}
}

func (a *appender) time(prefix string, t Time) {
	a.raw(prefix)
	a.raw(`"`)
	var err error
	if a.b, err = t.AppendText(a.b); err != nil {
		a.fail(err)
	}
	a.raw(`"`)
}

func (a *appender) valueOrNull(v jsontext.Value) {
	if v == nil {
		a.raw("null")
		return
	}
	a.value(v)
}

func (a *appender) value(v jsontext.Value) {
	b, err := jsontext.AppendFormat(a.b, v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		a.fail(fmt.Errorf("a value is not valid JSON: %w", err))
		return
	}
	a.b = b
}

func (a *appender) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}
