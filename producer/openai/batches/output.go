package batches

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/producer/openai/files"
)

// outcome is a line of an output or error file.
type outcome struct {
	ID       string    `json:"id"`
	CustomID string    `json:"custom_id"`
	Response *response `json:"response"`
	Error    *failure  `json:"error"`
}

type response struct {
	StatusCode int            `json:"status_code"`
	RequestID  string         `json:"request_id"`
	Body       jsontext.Value `json:"body"`
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// outputs are the two files that are being written, each made when its first line comes.
type outputs struct {
	run           *run
	why           error // that the batch ends early, nil if it does not
	good, bad     *artifact.Upload
	completed, no int
}

// finalize writes what became of the lines, and ends the batch.
func (r *run) finalize() error {
	why := context.Cause(r.going)
	if err := context.Cause(r.ctx); err != nil {
		return err
	}
	if r.state.finalizing == nil {
		now := &moment{At: time.Now().Unix()}
		if err := r.note(factFinalizing, now); err != nil {
			return err
		}
		r.state.finalizing = now
	}
	from, err := r.input()
	if errors.Is(err, artifact.ErrNotFound) {
		return r.fail(Fault{Code: "input_file_not_found", Message: "the input file was deleted before the batch had ended"})
	}
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	out := &outputs{run: r, why: why}
	defer out.close()
	if err := eachLine(from, out.line); err != nil {
		return out.failed(err)
	}
	e := &ended{Status: statusCompleted, Completed: out.completed, Failed: out.no}
	switch {
	case errors.Is(why, errCancelled):
		e.Status = statusCancelled
	case errors.Is(why, errExpired):
		e.Status = statusExpired
	}
	if e.Output, err = out.save(out.good, "output"); err == nil {
		e.Errors, err = out.save(out.bad, "error")
	}
	if err != nil {
		return out.failed(err)
	}
	return r.close(e)
}

// failed is an error of the store, which is tried again, or the end of a batch for whose output there is no room.
func (o *outputs) failed(err error) error {
	for _, full := range []error{artifact.ErrTooLarge, artifact.ErrUserFull, files.ErrTooMany} {
		if errors.Is(err, full) {
			return o.run.fail(Fault{Code: "output_not_stored", Message: "the output cannot be kept: " + full.Error()})
		}
	}
	return err
}

// line writes what became of a line.
func (o *outputs) line(number int, text []byte) error {
	line, fault := parseLine(number, text, o.run.state.Endpoint)
	if fault != nil {
		return nil // no batch gets here with one
	}
	ctx, cancel := context.WithCancel(o.run.ctx)
	defer cancel()
	said, err := o.run.answer(ctx, number)
	if err != nil {
		return err
	}
	w := outcome{ID: fmt.Sprintf("batch_req_%s_%d", o.run.state.Suffix(), number), CustomID: line.CustomID}
	if said != nil && said.Cancelled && o.why != nil {
		said = nil // it was, with the batch
	}
	switch {
	case said != nil:
		w.Response = &response{StatusCode: said.Status, RequestID: said.RequestID, Body: said.Body}
	case errors.Is(o.why, errExpired):
		w.Error = &failure{"batch_expired", "This request could not be executed before the completion window expired."}
	case o.why != nil:
		w.Error = &failure{"batch_cancelled", "This request was not executed before the batch was cancelled."}
	default:
		w.Error = &failure{"request_lost", "What became of this request is not known any more."}
	}
	into := &o.good
	if said == nil || said.Status >= 300 {
		into = &o.bad
		o.no++
	} else {
		o.completed++
	}
	encoded, err := json.Marshal(w, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	if *into == nil {
		if *into, err = o.run.config.Artifacts.Create(o.run.state.User); err != nil {
			return err //nolint:wrapcheck // failed compares it
		}
	}
	_, err = (*into).Write(append(encoded, '\n'))
	return err //nolint:wrapcheck // failed compares it
}

// answer is what became of a line, nil if nothing has.
func (r *run) answer(ctx context.Context, number int) (*Answer, error) {
	for pauses := (pace.Backoff{First: 50 * time.Millisecond, Longest: 5 * time.Second}); ; pauses.Wait(ctx) {
		said, err := r.config.Door.Answer(ctx, &r.state.Batch, number)
		if said != nil || ctx.Err() != nil {
			return said, context.Cause(ctx)
		}
		if err == nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if refused, is := r.refused[number]; is {
		return &refused, nil
	}
	return nil, nil
}

// save makes a file of what was written, the same one whoever does it; "" for nothing.
func (o *outputs) save(upload *artifact.Upload, kind string) (string, error) {
	if upload == nil {
		return "", nil
	}
	b := &o.run.state.Batch
	sum := sha256.Sum256([]byte(b.ID + "/" + kind))
	f, err := o.run.config.Shelf.Save(o.run.ctx, b.User, files.File{
		ID: b.outputID(hex.EncodeToString(sum[:])), Filename: b.ID + "_" + kind + ".jsonl", Purpose: "batch_output",
	}, upload, time.Duration(b.OutputSeconds)*time.Second)
	return f.ID, err //nolint:wrapcheck // failed compares it
}

// outputID begins the id of an output file: in a list it stands among those made with the batch.
func (b *Batch) outputID(sum string) string { return files.Prefix + b.Suffix()[:16] + sum[:16] }

func (o *outputs) close() {
	for _, upload := range []*artifact.Upload{o.good, o.bad} {
		if upload != nil {
			upload.Close()
		}
	}
}
