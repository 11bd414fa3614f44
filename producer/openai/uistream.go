package openai

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// uiStream is GET /v1/tasks/{id}/ui-stream: a task's output as vercel/ai's clients read it,
// from its beginning. A task that has ended has nothing to resume, unless it is asked for.
func (d *Door) uiStream(c *gin.Context) error {
	named, who := c.Query("user_id"), identityOf(c)
	key := schemas.TaskKey{TaskID: c.Param("id"), UserID: named}
	if !who.Admin {
		user, refused := d.config.Auth.Settle(who, named)
		if refused != nil {
			return refused
		}
		key.UserID = user
	}
	replay := c.Query("replay")
	switch {
	case schemas.CheckTaskID(key.TaskID) != "":
		return notFound("no task can have this id")
	case replay != "" && replay != "true" && replay != "false":
		return httpedge.Invalid("replay", "replay must be true or false")
	}
	task, err := d.look(c.Request.Context(), key)
	if err != nil {
		return viewProblem(err)
	}
	c.Header("X-Vercel-Ai-Ui-Message-Stream", "v1")
	if (task.Status.Terminal() || task.Status == schemas.Lost) && replay != "true" {
		c.Status(http.StatusNoContent)
		c.Writer.WriteHeaderNow()
		return nil
	}
	if c.Request.Method == http.MethodHead {
		newSSE(c).open()
		return nil
	}
	return d.stream(c, &task, &streaming{fold: newUIFold(task.TaskID)}, 0)
}

// uiFold makes the parts of a message in vercel/ai's UI stream.
type uiFold struct {
	id    string
	over  bool
	open  bool // a text has begun
	texts int
	tries int
	said  bool
}

func newUIFold(id string) *uiFold { return &uiFold{id: id} }

func (f *uiFold) ended() bool { return f.over }

func uiPart(kind string) object { return object{}.set("type", kind) }

func uiFrame(o object) frame { return frame{data: o.value()} }

func (f *uiFold) begin() []frame {
	return []frame{uiFrame(uiPart("start").set("messageId", f.id))}
}

func (f *uiFold) take(e *schemas.Event) (frames []frame) {
	switch {
	case f.over:
		return nil
	case e.Terminal():
		f.over = true
		return f.end(e)
	case e.Kind == schemas.KindReset:
		return f.reset()
	case e.Kind == schemas.KindOutput && e.Output != nil && e.Output.Text != "":
		if f.tries != 0 && f.tries != e.Attempt {
			frames = f.reset()
		}
		f.tries = e.Attempt
		return append(frames, f.text(e.Output.Text)...)
	}
	return nil
}

func (f *uiFold) textID() string { return f.id + "-" + string(rune('a'+f.texts%26)) }

func (f *uiFold) text(piece string) (frames []frame) {
	if !f.open {
		f.open, f.said = true, true
		frames = append(frames, uiFrame(uiPart("text-start").set("id", f.textID())))
	}
	return append(frames, uiFrame(uiPart("text-delta").set("id", f.textID()).set("delta", piece)))
}

func (f *uiFold) closeText() (frames []frame) {
	if f.open {
		frames = append(frames, uiFrame(uiPart("text-end").set("id", f.textID())))
		f.open = false
		f.texts++
	}
	return frames
}

// reset tells that the text so far is void: the client's onData is told its id.
func (f *uiFold) reset() []frame {
	f.tries = 0
	if !f.open {
		return nil
	}
	id := f.textID()
	f.said = false
	return append(f.closeText(), uiFrame(uiPart("data-reset").set("id", "reset-"+id).
		set("data", map[string]string{"void": id})))
}

func (f *uiFold) end(e *schemas.Event) (frames []frame) {
	if e.Status == schemas.Completed && !f.said {
		if text := finalText(e); text != "" {
			frames = append(frames, f.text(text)...)
		}
	}
	frames = append(frames, f.closeText()...)
	switch e.Status {
	case schemas.Completed:
		frames = append(frames, uiFrame(uiPart("finish")))
	case schemas.Cancelled:
		frames = append(frames, uiFrame(uiPart("abort")))
	default:
		frames = append(frames, uiFrame(uiPart("error").set("errorText", faultOf(e).message)))
	}
	return append(frames, frame{data: []byte("[DONE]")})
}

// finalText is the text of an answer that was not streamed.
func finalText(e *schemas.Event) string {
	o := asObject(e.Result)
	switch {
	case isResponse(o):
		return outputText(o)
	case isCompletion(o):
		for _, v := range o.list("choices") {
			return asObject(asObject(v)["message"]).text("content")
		}
	}
	return plainText(e.Result)
}
