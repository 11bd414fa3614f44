package openai

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// createEmbeddings is POST /embeddings.
func (d *Door) createEmbeddings(c *gin.Context) error {
	r, err := d.read(c)
	if err != nil {
		return err
	}
	if err := checkEmbeddings(r.body); err != nil {
		return err
	}
	key, err := d.submit(c, r, embeddingPrefix, embeddingsTask, false)
	if err != nil {
		return err
	}
	task, err := d.wait(c, key)
	switch {
	case err != nil && c.Request.Context().Err() != nil:
		return nil //nolint:nilerr // the client is gone
	case err != nil:
		return err
	case task.Status != schemas.Completed:
		return faultOf(d.endOf(c.Request.Context(), &task)).problem(task.TaskID)
	}
	list, err := d.embeddingsOf(c.Request.Context(), &task)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, list)
}

// checkEmbeddings says what is wrong with a request for embeddings.
func checkEmbeddings(body object) error {
	format := body.text("encoding_format")
	switch kind := body["input"].Kind(); {
	case !body.has("input"), kind == '"' && body.text("input") == "", kind == '[' && len(body.list("input")) == 0,
		kind != '"' && kind != '[':
		return invalid("input", "input must be a text, or a list of texts or tokens, and not empty")
	case body.has("encoding_format") && format != "float" && format != "base64":
		return invalid("encoding_format", "encoding_format must be float or base64")
	}
	return nil
}

// embeddingsOf are the embeddings of a task that has completed.
func (d *Door) embeddingsOf(ctx context.Context, task *taskview.Task) (object, error) {
	record, err := schemas.DecodeTask(task.Record)
	if err != nil {
		return nil, notFound("the task has no embeddings")
	}
	result, err := d.resultOf(ctx, task)
	if err != nil {
		return nil, err
	}
	body := asObject(record.InputData)
	list := embeddingList(result, body, body.text("encoding_format") == "base64")
	if list == nil {
		return nil, &httpedge.Problem{Status: http.StatusBadGateway, TaskID: task.TaskID,
			Detail: "the service has answered with something else than embeddings"}
	}
	return list, nil
}

// embeddingList is a service's result as the API's list, nil if it is none: it has data as
// OpenAI's own, or a list of vectors as embeddings or vectors.
func embeddingList(result jsontext.Value, body object, inBase64 bool) object {
	o := asObject(result)
	if o == nil {
		return nil
	}
	data := o.list("data")
	if data == nil {
		vectors := append(o.list("embeddings"), o.list("vectors")...)
		if vectors == nil {
			return nil
		}
		for index, vector := range vectors {
			data = append(data, object{}.set("object", "embedding").set("index", index).set("embedding", vector).value())
		}
	}
	for i, v := range data {
		one := asObject(v)
		vector, ok := encoded(one["embedding"], inBase64)
		if !ok {
			return nil
		}
		data[i] = one.set("embedding", vector).value()
	}
	list := object{}.set("object", "list").set("data", data).set("model", body["model"])
	for _, name := range []string{"model", "usage"} {
		if o.has(name) {
			list[name] = o[name]
		}
	}
	usage := asObject(list["usage"])
	if usage == nil {
		usage = object{}
	}
	tokens := max(usage.index("prompt_tokens"), usage.index("input_tokens"), 0)
	return list.set("usage", usage.setMissing("prompt_tokens", tokens).setMissing("total_tokens", tokens))
}

// encoded is a vector in the form that was asked for: a list of numbers, or the base64 of
// float32s in little endian.
func encoded(vector jsontext.Value, inBase64 bool) (jsontext.Value, bool) {
	switch {
	case len(vector) == 0:
		return nil, false
	case vector.Kind() == '[' && !inBase64, vector.Kind() == '"' && inBase64:
		return vector, true
	case vector.Kind() == '[':
		var numbers []float64
		if json.Unmarshal(vector, &numbers) != nil {
			return nil, false
		}
		b := make([]byte, 0, 4*len(numbers))
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(n)))
		}
		return valueOf(base64.StdEncoding.EncodeToString(b)), true
	}
	b, err := base64.StdEncoding.DecodeString(textOf(vector))
	if err != nil || len(b)%4 != 0 {
		return nil, false
	}
	numbers := make([]float32, 0, len(b)/4)
	for ; len(b) > 0; b = b[4:] {
		numbers = append(numbers, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return valueOf(numbers), true
}
