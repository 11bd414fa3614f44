package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// ArtifactStore keeps files; see [artifact.New].
type ArtifactStore = artifact.Store

// SweepArtifacts removes files that have expired and that no unfinished task names, once the view knows which
// those are, until ctx ends.
func (a *API) SweepArtifacts(ctx context.Context) {
	if a.config.Artifacts == nil {
		return
	}
	select {
	case <-a.config.View.Ready():
	case <-ctx.Done():
		return
	}
	_ = a.config.Artifacts.Run(ctx, func(ctx context.Context, visit func(user, hash string)) error {
		return a.config.View.EachUnfinished(ctx, `"artifact"`, func(user string, record []byte) {
			for _, hash := range artifact.References(record) {
				visit(user, hash)
			}
		})
	})
}

// Stored is the answer to an upload.
type Stored struct {
	artifact.Info
	// Again under the name that it has on its own.
	SHA256 string `json:"hash"`
}

// artifactRoutes are those of files.
func (a *API) artifactRoutes() []httpedge.Route {
	return []httpedge.Route{
		post("/v1/artifacts", a.putArtifact, "user_id", "name"),
		get("/v1/artifacts/:hash", a.getArtifact, "user_id"),
		{Methods: []string{http.MethodDelete}, Path: "/v1/artifacts/:hash", Query: []string{"user_id"},
			Serve: a.deleteArtifact},
	}
}

// artifactUser is whose files a request is about, "" if an admin names none.
func (a *API) artifactUser(c *gin.Context) (string, error) {
	if a.config.Artifacts == nil {
		return "", httpedge.NewProblem(http.StatusNotImplemented, "this API keeps no artifacts")
	}
	user, err := a.userOf(c, c.Query("user_id"))
	if err != nil {
		return "", err
	}
	if wrong := schemas.CheckUserID(user); user != "" && wrong != "" {
		return "", httpedge.Invalid("user_id", "user_id "+wrong)
	}
	return user, nil
}

// artifactOwner is whose file a request stores or removes: without another name one's own, and where
// nobody has to prove who they are everybody's.
func (a *API) artifactOwner(c *gin.Context) (string, error) {
	user, err := a.artifactUser(c)
	if err == nil && user == "" {
		user = identityOf(c).User
	}
	return user, err
}

// putArtifact is POST /v1/artifacts.
func (a *API) putArtifact(c *gin.Context) error {
	user, err := a.artifactOwner(c)
	if err != nil {
		return err
	}
	name, kind, err := describedAs(c)
	if err != nil {
		return err
	}
	upload, err := a.config.Artifacts.Create(user)
	if err != nil {
		return a.artifactError(c.Request.Context(), err)
	}
	defer upload.Close()
	if err := a.receive(c, upload); err != nil {
		return err
	}
	info, err := upload.Commit(c.Request.Context(), name, kind, 0)
	if err != nil {
		return a.artifactError(c.Request.Context(), err)
	}
	c.Header("Location", "artifacts/"+info.Hash)
	return answer(c, http.StatusCreated, Stored{info, info.Hash})
}

// describedAs is the name and type that an upload gives its file.
func describedAs(c *gin.Context) (name, kind string, _ error) {
	name, field := c.Query("name"), "name"
	if header := c.GetHeader("Content-Disposition"); name == "" && header != "" {
		field = "Content-Disposition"
		_, parameters, err := mime.ParseMediaType(header)
		if err != nil {
			return "", "", httpedge.Invalid(field, `Content-Disposition must be such as attachment; filename="report.pdf"`)
		}
		name = parameters["filename"]
	}
	if wrong := artifact.CheckName(name); wrong != "" {
		return "", "", httpedge.Invalid(field, "the file's name "+wrong)
	}
	given := c.GetHeader("Content-Type")
	switch base, _, _ := strings.Cut(strings.ToLower(given), ";"); strings.TrimSpace(base) {
	case "multipart/form-data":
		return "", "", httpedge.NewProblem(http.StatusUnsupportedMediaType, "send the file itself as the body and its type "+
			"as Content-Type, not a form: curl --data-binary @FILE -H 'Content-Type: application/pdf'")
	case "application/x-www-form-urlencoded": // what curl says where nobody does
		given = ""
	}
	kind, wrong := artifact.CheckType(given)
	if wrong != "" {
		return "", "", httpedge.Invalid("Content-Type", "Content-Type "+wrong)
	}
	return name, kind, nil
}

// receive reads the request's body into a file.
func (a *API) receive(c *gin.Context, upload *artifact.Upload) error {
	sender := identityOf(c).User
	if sender == "" {
		sender = c.RemoteIP()
	}
	if err := upload.Expect(max(0, c.Request.ContentLength)); err != nil {
		c.Header("Connection", "close") // its body is not read
		return a.artifactError(c.Request.Context(), err)
	}
	body, err := a.bodies.Stream(c.Writer, c.Request, sender, a.config.Artifacts.MaxFileBytes())
	if err == nil {
		_, err = io.Copy(upload, body)
		_ = body.Close()
	}
	if errors.Is(err, httpedge.ErrTooLarge) {
		err = artifact.ErrTooLarge
	}
	return a.artifactError(c.Request.Context(), err)
}

// openArtifact opens the file that the path names, for the one who asks.
func (a *API) openArtifact(c *gin.Context) (*artifact.Content, error) {
	user, err := a.artifactUser(c)
	if err != nil {
		return nil, err
	}
	hash, ctx := c.Param("hash"), c.Request.Context()
	if user == "" {
		info, err := a.config.Artifacts.Find(ctx, hash)
		if err != nil {
			return nil, a.artifactError(c.Request.Context(), err)
		}
		user = info.User
	}
	content, err := a.config.Artifacts.Open(ctx, user, hash)
	if err == nil && a.config.Artifacts.Expired(content.Info) {
		err = artifact.ErrNotFound
	}
	return content, a.artifactError(c.Request.Context(), err)
}

// getArtifact is GET /v1/artifacts/{hash}. Whatever the file is, no browser shows it as a page: it is
// somebody's text, a model's or a stranger's.
func (a *API) getArtifact(c *gin.Context) error {
	content, err := a.openArtifact(c)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	if c.GetHeader("Range") == "" && c.Request.Method == http.MethodGet {
		if err := content.Check(); err != nil {
			return a.artifactError(c.Request.Context(), err)
		}
	}
	disposition := "attachment"
	if content.Info.Name != "" {
		disposition = mime.FormatMediaType(disposition, map[string]string{"filename": content.Info.Name})
	}
	for name, value := range map[string]string{
		"Content-Type": content.Info.Type, "Content-Disposition": disposition, "ETag": `"` + content.Info.Hash + `"`,
		"Cache-Control": "private, no-cache", "Content-Security-Policy": "sandbox; default-src 'none'",
		"Cross-Origin-Resource-Policy": "same-origin",
		"X-Artifact-Expires":           content.Info.ExpiresAt.UTC().Format(time.RFC3339),
	} {
		c.Header(name, value)
	}
	http.ServeContent(httpedge.Steady(c.Writer), c.Request, "", content.Info.CreatedAt, content)
	return nil
}

// deleteArtifact is DELETE /v1/artifacts/{hash}.
func (a *API) deleteArtifact(c *gin.Context) error {
	user, err := a.artifactOwner(c)
	if err != nil {
		return err
	}
	if err := a.config.Artifacts.Delete(c.Request.Context(), user, c.Param("hash")); err != nil {
		return a.artifactError(c.Request.Context(), err)
	}
	c.Status(http.StatusNoContent)
	return nil
}

// artifactError is the answer for an error of the store.
func (a *API) artifactError(ctx context.Context, err error) error {
	full := new(artifact.UserFullError)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, artifact.ErrNotFound):
		return httpedge.NewProblem(http.StatusNotFound, "there is no such artifact, or it has expired")
	case errors.Is(err, artifact.ErrTooLarge):
		return httpedge.NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the file is larger than the %d bytes that "+
			"one may have here", a.config.Artifacts.MaxFileBytes()))
	case errors.As(err, &full):
		return httpedge.NewProblem(http.StatusTooManyRequests, fmt.Sprintf("the user's artifacts have %d bytes of the %d "+
			"that they may have, and no room for this file: delete some that are not needed any more, or wait until they "+
			"have expired", full.Used, full.Limit))
	case errors.Is(err, artifact.ErrBusy):
		return httpedge.TooMany("too many of this user's files, or of all, are being stored just now; try again")
	case errors.Is(err, artifact.ErrFull):
		return httpedge.NewProblem(http.StatusInsufficientStorage, "there is no room for this file: artifacts are full")
	case errors.Is(err, artifact.ErrDamaged):
		return httpedge.NewProblem(http.StatusInternalServerError, "the artifact is damaged; upload the file again, which "+
			"mends it")
	case errors.Is(err, artifact.ErrUnavailable):
		if ctx.Err() == nil {
			a.config.Logger.Error("the store of artifacts cannot be used", "error", err)
		}
		return httpedge.Unavailable("the store of artifacts does not answer; try again")
	}
	return err
}

// answerResult answers with a task's result, whole where it is kept as an artifact of its user.
func (a *API) answerResult(c *gin.Context, key string, result schemas.Result, user string) error {
	if result.ResultArtifact == nil {
		return answer(c, http.StatusOK, result)
	}
	content, err := a.openResult(c.Request.Context(), user, result.ResultArtifact)
	if err != nil {
		return a.resultError(c.Request.Context(), key, err)
	}
	defer func() { _ = content.Close() }()
	result.Result = jsontext.Value("null")
	around, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	before, after, _ := bytes.Cut(around, []byte(`"result":null`))
	before = append(before, `"result":`...)
	c.Header("Content-Type", "application/json")
	c.Header("Cache-Control", "no-store")
	c.Header("Content-Length", fmt.Sprint(int64(len(before)+len(after))+content.Info.Size))
	c.Status(http.StatusOK)
	if c.Request.Method == http.MethodHead {
		return nil
	}
	_, err = io.Copy(httpedge.Steady(c.Writer), io.MultiReader(bytes.NewReader(before), content, bytes.NewReader(after)))
	if err != nil {
		panic(http.ErrAbortHandler) // the answer has begun: it is cut off
	}
	return nil
}

// resultError is the answer for a result that cannot be read from where it is kept.
func (a *API) resultError(ctx context.Context, taskID string, err error) error {
	if errors.Is(err, artifact.ErrNotFound) {
		return &httpedge.Problem{
			Status: http.StatusGone, TaskID: taskID, TaskStatus: string(schemas.Completed),
			Detail: "the result is kept as an artifact, and the store of this API does not have it: it has expired, or the " +
				"API and the processors have different stores (--artifacts-dir, --artifacts-bucket)",
		}
	}
	return a.artifactError(ctx, err)
}

// maxResultBytes is more than processors keep of a result.
const maxResultBytes = 64 << 20

// Result reads a task's result from where it is kept. What is wrong is an error that the edge has an answer for.
func (a *API) Result(ctx context.Context, task schemas.TaskKey, ref *schemas.Artifact) (jsontext.Value, error) {
	content, err := a.openResult(ctx, task.UserID, ref)
	if err != nil {
		return nil, a.resultError(ctx, task.TaskID, err)
	}
	defer func() { _ = content.Close() }()
	if content.Info.Size > maxResultBytes {
		return nil, a.artifactError(ctx, artifact.ErrDamaged)
	}
	result := bytes.NewBuffer(make([]byte, 0, content.Info.Size+bytes.MinRead))
	if _, err := result.ReadFrom(content); err != nil {
		return nil, a.artifactError(ctx, err)
	}
	return result.Bytes(), nil
}

func (a *API) openResult(ctx context.Context, user string, ref *schemas.Artifact) (*artifact.Content, error) {
	if a.config.Artifacts == nil {
		return nil, artifact.ErrNotFound
	}
	content, err := a.config.Artifacts.Open(ctx, user, ref.Hash)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller compares it
	}
	if err := content.Check(); err != nil {
		_ = content.Close()
		return nil, err //nolint:wrapcheck // the caller compares it
	}
	return content, nil
}
