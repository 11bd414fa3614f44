package openai

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/producer/openai/batches"
	"github.com/aiecs/tasklane/schemas"
)

// Bounds of a batch's metadata and of a page of batches.
const (
	maxMetadata      = 16
	maxMetadataKey   = 64
	maxMetadataValue = 512
	maxBatches       = 100
	defaultBatches   = 20
	maxBatchBody     = 64 << 10
)

func (d *Door) batchRoutes() []httpedge.Route {
	return []httpedge.Route{
		post("/batches", d.createBatch),
		get("/batches", d.listBatches, "limit", "after"),
		get("/batches/:id", d.retrieveBatch),
		post("/batches/:id/cancel", d.cancelBatch),
	}
}

// createBatch is POST /batches.
func (d *Door) createBatch(c *gin.Context) error {
	user, err := d.owner(c)
	if err != nil {
		return err
	}
	raw, err := d.readJSON(c, maxBatchBody)
	if err != nil {
		return err
	}
	body, err := readObject(raw)
	if err != nil {
		return err
	}
	batch := batches.Batch{
		User: user, Endpoint: body.text("endpoint"), InputFile: body.text("input_file_id"), Metadata: body["metadata"],
	}
	if _, known := d.callOf(batch.Endpoint); !known {
		return invalid("endpoint", "endpoint must be /v1/responses, /v1/chat/completions or /v1/embeddings")
	}
	if body.text("completion_window") != "24h" {
		return invalid("completion_window", "completion_window must be 24h")
	}
	if err := checkMetadata(body); err != nil {
		return err
	}
	if after := asObject(body["output_expires_after"]); after != nil {
		keep, err := keepFor("output_expires_after.seconds", string(after["seconds"]))
		if err != nil {
			return err
		}
		batch.OutputSeconds = int64(keep.Seconds())
	}
	input, err := d.shelf.Get(c.Request.Context(), user, batch.InputFile)
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return invalid("input_file_id", "there is no file "+quote(batch.InputFile)+"; upload it with purpose=batch")
	case err != nil:
		return d.fileProblem(err)
	case input.Purpose != "batch":
		return invalid("input_file_id", "the file's purpose is "+input.Purpose+"; upload it with purpose=batch")
	}
	state, err := d.book.Create(c.Request.Context(), batch)
	if err != nil {
		return d.fileProblem(err)
	}
	d.batches.Wake()
	return answer(c, http.StatusOK, state.Object(batches.Counts{}))
}

// checkMetadata says what is wrong with a request's metadata.
func checkMetadata(body object) error {
	if !body.has("metadata") {
		return nil
	}
	var pairs map[string]string
	if json.Unmarshal(body["metadata"], &pairs) != nil {
		return invalid("metadata", "metadata must be an object whose members are texts")
	}
	for name, value := range pairs {
		if len(pairs) > maxMetadata || len([]rune(name)) > maxMetadataKey || len([]rune(value)) > maxMetadataValue {
			return invalid("metadata", fmt.Sprintf("metadata may have %d members, with names of %d and values of %d characters",
				maxMetadata, maxMetadataKey, maxMetadataValue))
		}
	}
	return nil
}

// batchOf is the batch that the path names.
func (d *Door) batchOf(c *gin.Context) (*batches.State, error) {
	user, err := d.owner(c)
	if err != nil {
		return nil, err
	}
	state, err := d.book.Get(c.Request.Context(), user, c.Param("id"))
	if err != nil {
		return nil, d.fileProblem(err)
	}
	return state, nil
}

// batchObject is a batch as it is now: what its tasks have come to is in the view.
func (d *Door) batchObject(c *gin.Context, state *batches.State) (batches.Object, error) {
	var now batches.Counts
	if !state.Ended() {
		counts, err := d.config.View.Batch(c.Request.Context(), state.User, state.ID)
		if err != nil {
			return batches.Object{}, viewProblem(err)
		}
		for status, n := range counts {
			switch {
			case status == schemas.Completed:
				now.Completed += n
			case status.Terminal() || status == schemas.Lost:
				now.Failed += n
			}
		}
	}
	return state.Object(now), nil
}

func (d *Door) answerBatch(c *gin.Context, state *batches.State) error {
	o, err := d.batchObject(c, state)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, o)
}

// retrieveBatch is GET /batches/{id}.
func (d *Door) retrieveBatch(c *gin.Context) error {
	state, err := d.batchOf(c)
	if err != nil {
		return err
	}
	return d.answerBatch(c, state)
}

// cancelBatch is POST /batches/{id}/cancel.
func (d *Door) cancelBatch(c *gin.Context) error {
	state, err := d.batchOf(c)
	if err != nil {
		return err
	}
	if err := d.book.Cancel(c.Request.Context(), state); err != nil {
		return d.fileProblem(err)
	}
	d.batches.Stop(state.ID)
	return d.answerBatch(c, state)
}

// listBatches is GET /batches.
func (d *Door) listBatches(c *gin.Context) error {
	user, err := d.owner(c)
	if err != nil {
		return err
	}
	query := queryOf(c)
	limit, err := limitOf(query, defaultBatches, maxBatches)
	if err != nil {
		return err
	}
	list, more, err := d.book.List(c.Request.Context(), user, query.Get("after"), limit)
	if errors.Is(err, artifact.ErrNotFound) {
		return invalid("after", "there is no batch "+quote(query.Get("after")))
	}
	if err != nil {
		return d.fileProblem(err)
	}
	data, ids := make([]batches.Object, len(list)), make([]string, len(list))
	for i, state := range list {
		if data[i], err = d.batchObject(c, state); err != nil {
			return err
		}
		ids[i] = state.ID
	}
	return answer(c, http.StatusOK, pageOf(data, ids, more))
}
