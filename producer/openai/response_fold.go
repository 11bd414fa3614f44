package openai

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// responseFold makes the stream of a response. Events of the provider's own stream are
// passed on with numbers of the door's; where there are none, text is made into events.
//
// An attempt that begins anew is compared with what was sent of the one before: as long as
// it says the same nothing is sent, and then only what is new. Where it says something else
// the items that were sent are closed as incomplete, an in_progress event shows the
// response without output, and the new items follow under indexes of their own.
type responseFold struct {
	response
	seq     int64
	started bool
	over    bool
	final   object // the response, once it has completed

	sent  transcript        // what readers have of the attempt that stands
	again *rerun            // an attempt that is compared with it, nil if none is
	shift int               // of the output indexes of the attempt that stands
	ids   map[string]string // of items, as readers know them, by the attempt's own
	made  *textMaker        // of an attempt that has only text
	items map[int]sentItem  // that were added, by the index as sent
	tries int               // the attempt whose output came last, 0 for none that stands
}

// sentItem is an output item as readers know it.
type sentItem struct {
	item object
	done bool
}

// rerun is an attempt that is compared with the one before.
type rerun struct {
	at   mark
	held []object
}

func newResponseFold(task *schemas.Task) *responseFold {
	return &responseFold{response: responseOf(task), ids: map[string]string{}, items: map[int]sentItem{},
		made: new(textMaker)}
}

func (f *responseFold) ended() bool { return f.over }

// put numbers an event and makes it a frame.
func (f *responseFold) put(event object) frame {
	event.set("sequence_number", f.seq)
	f.seq++
	return frame{event: event.text("type"), data: event.value()}
}

func (f *responseFold) state(kind string, o object) frame {
	return f.put(object{}.set("type", kind).set("response", o))
}

func (f *responseFold) begin() []frame {
	frames := []frame{f.state("response.created", f.withStatus(statusQueued))}
	if f.background() {
		frames = append(frames, f.state("response.queued", f.withStatus(statusQueued)))
	}
	return frames
}

func (f *responseFold) take(e *schemas.Event) []frame {
	switch {
	case f.over:
		return nil
	case e.Terminal():
		f.over = true
		return f.end(e)
	case e.Kind == schemas.KindState && e.Status == schemas.Running:
		return f.start()
	case e.Kind == schemas.KindReset:
		f.restart()
	case e.Kind == schemas.KindOutput && e.Output != nil:
		return append(f.start(), f.output(e)...)
	}
	return nil
}

// start says that the task runs, once.
func (f *responseFold) start() []frame {
	if f.started {
		return nil
	}
	f.started = true
	return []frame{f.state("response.in_progress", f.withStatus(statusInProgress))}
}

// restart begins to compare. A reset says that an attempt begins anew; that its number is
// another says so too.
func (f *responseFold) restart() {
	f.made, f.tries = new(textMaker), 0
	if len(f.sent.parts) > 0 {
		f.again = new(rerun)
	}
}

func (f *responseFold) output(e *schemas.Event) (frames []frame) {
	if f.tries != 0 && f.tries != e.Attempt {
		f.restart()
	}
	f.tries = e.Attempt
	raw := rawEvents(e.Output)
	if len(raw) == 0 || !isResponseEvent(raw[0]) {
		if e.Output.Text == "" {
			return nil
		}
		if f.made.open && f.passes() {
			return []frame{f.textDelta(e.Output.Text)}
		}
		for _, event := range f.made.text(f.itemID(e.Attempt), e.Output.Text) {
			frames = append(frames, f.push(event)...)
		}
		return frames
	}
	for _, v := range raw {
		if one, ok := f.rawDelta(v); ok {
			frames = append(frames, one)
			continue
		}
		event := asObject(v)
		switch event.text("type") {
		case "response.created", "response.queued", "response.in_progress", "response.completed", "response.failed",
			"response.incomplete", "response.cancelled", "error", "":
			// What the response is as a whole is said by the task's own events.
		default:
			frames = append(frames, f.push(event)...)
		}
	}
	return frames
}

// isResponseEvent looks at the type alone: it is asked of every piece of every stream.
func isResponseEvent(v jsontext.Value) bool {
	var event struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(v, &event, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) != nil {
		return false
	}
	return strings.HasPrefix(event.Type, "response.") || event.Type == "error"
}

func (f *responseFold) itemID(attempt int) string {
	if attempt <= 1 {
		return "msg_" + suffix(f.id)
	}
	return fmt.Sprintf("msg_%s_%d", suffix(f.id), attempt)
}

// push sends an event of the attempt that stands, or compares it.
func (f *responseFold) push(event object) []frame {
	if f.again == nil {
		f.sent.add(event)
		return []frame{f.send(event)}
	}
	f.again.held = append(f.again.held, event)
	rest, same := f.sent.compare(&f.again.at, event)
	switch {
	case !same:
		return f.diverge()
	case rest == nil:
		if id := asObject(event["item"]).text("id"); event.text("type") == "response.output_item.added" && id != "" {
			f.ids[id] = f.items[f.shift+event.index("output_index")].item.text("id")
		}
		return nil
	}
	f.again = nil
	f.sent.add(rest)
	return []frame{f.send(rest)}
}

// send gives an event of the attempt the index and ids that readers know.
func (f *responseFold) send(event object) frame {
	event = event.clone()
	index := event.index("output_index")
	if index >= 0 {
		index += f.shift
		event.set("output_index", index)
	}
	if id, renamed := f.ids[event.text("item_id")]; renamed {
		event.set("item_id", id)
	}
	item := asObject(event["item"])
	if id, renamed := f.ids[item.text("id")]; renamed {
		event.set("item", item.set("id", id))
	}
	switch event.text("type") {
	case "response.output_item.added":
		f.items[index] = sentItem{item: item}
	case "response.output_item.done":
		f.items[index] = sentItem{item: item, done: true}
	}
	return f.put(event)
}

// diverge tells readers that what they have is void, and sends what the new attempt has
// said so far.
func (f *responseFold) diverge() (frames []frame) {
	var indexes []int
	for index, sent := range f.items {
		if index >= f.shift && !sent.done {
			indexes = append(indexes, index)
		}
	}
	slices.Sort(indexes)
	for _, index := range indexes {
		item := f.items[index].item.clone().set("status", statusIncomplete)
		f.items[index] = sentItem{item: item, done: true}
		frames = append(frames, f.put(object{}.set("type", "response.output_item.done").set("output_index", index).
			set("item", item)))
	}
	for index := range f.items {
		f.shift = max(f.shift, index+1)
	}
	frames = append(frames, f.state("response.in_progress", f.withStatus(statusInProgress)))
	held := f.again.held
	f.again, f.sent = nil, transcript{}
	clear(f.ids)
	for _, event := range held {
		f.sent.add(event)
		frames = append(frames, f.send(event))
	}
	return frames
}

// end is the last of a stream: what is still to be said of the output, and the response.
func (f *responseFold) end(e *schemas.Event) (frames []frame) {
	if e.Status != schemas.Completed {
		return []frame{f.state("response.failed", f.response.ended(e))}
	}
	frames = f.start()
	o, events := f.outcome(e)
	for _, event := range events {
		frames = append(frames, f.push(event)...)
	}
	if f.again != nil && !f.sent.finished(f.again.at) { // the last attempt said less than the one before
		frames = append(frames, f.diverge()...)
	}
	kind := "response.completed"
	if o.text("status") == statusIncomplete {
		kind = "response.incomplete"
	}
	f.final = f.renamed(o)
	return append(frames, f.state(kind, f.final))
}

// outcome is the completed response, and the events that are missing before it.
func (f *responseFold) outcome(e *schemas.Event) (object, []object) {
	at := e.Time.Unix()
	answered := asObject(e.Result)
	switch streamed := f.streamed(); {
	case isResponse(answered) && (streamed && !f.made.open):
		return f.completed(e, nil, at), nil
	case isResponse(answered) && !f.made.open:
		return f.completed(e, nil, at), eventsOf(answered.list("output"))
	case isResponse(answered):
		return f.plain(e, outputText(answered), at)
	case f.made.open:
		return f.plain(e, f.made.said.String(), at)
	}
	text := plainText(e.Result)
	if len(toolCalls(answered)) > 0 {
		text = answered.text("text")
	}
	return f.plain(e, text, at)
}

// plain is the response to an attempt whose text is made into events, with the calls of
// tools behind it.
func (f *responseFold) plain(e *schemas.Event, text string, at int64) (object, []object) {
	var output []jsontext.Value
	var events []object
	calls := callItems(e.Result, f.id)
	if text != "" || len(calls) == 0 || f.made.open {
		id := f.itemID(e.Attempt)
		if !f.made.open {
			events = f.made.text(id, text)
		} else if said := f.made.said.String(); strings.HasPrefix(text, said) && len(text) > len(said) {
			events = f.made.text(id, text[len(said):])
		}
		output = append(output, textItem(f.made.id, statusCompleted, f.made.said.String()).value())
		events = append(events, f.made.finish()...)
	}
	for _, event := range eventsOf(calls) {
		events = append(events, event.set("output_index", event.index("output_index")+len(output)))
	}
	o := f.completed(e, append(output, calls...), at)
	if finishOf(e.Result) == "length" {
		o.set("status", statusIncomplete).set("completed_at", nil).
			set("incomplete_details", map[string]string{"reason": "max_output_tokens"})
	}
	return o, events
}

// streamed reports whether the attempt that stands has sent, or repeated, anything.
func (f *responseFold) streamed() bool {
	if f.again != nil {
		return len(f.again.held) > 0
	}
	return len(f.sent.parts) > 0
}

// renamed is the response with the items' ids that readers know.
func (f *responseFold) renamed(o object) object {
	output := o.list("output")
	for i, v := range output {
		item := asObject(v)
		if id, renamed := f.ids[item.text("id")]; renamed {
			output[i] = item.set("id", id).value()
		}
	}
	if len(output) > 0 {
		o.set("output", output)
	}
	return o
}
