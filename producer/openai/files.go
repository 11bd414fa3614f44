package openai

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/producer/openai/batches"
	"github.com/aiecs/tasklane/producer/openai/files"
)

// Bounds of files.
const (
	maxUploadBytes = 512 << 20
	maxParts       = 16
	maxFieldBytes  = 1 << 10
	defaultFiles   = 1_000
	maxPage        = 10_000
	minKeep        = time.Hour
	maxKeep        = 30 * 24 * time.Hour
)

func (d *Door) fileRoutes() []httpedge.Route {
	return []httpedge.Route{
		post("/files", d.createFile),
		get("/files", d.listFiles, "purpose", "limit", "order", "after"),
		get("/files/:id", d.retrieveFile),
		get("/files/:id/content", d.fileContent),
		{Methods: []string{http.MethodDelete}, Path: Prefix + "/files/:id", Serve: d.deleteFile},
	}
}

// owner is whose files and batches a request is about.
func (d *Door) owner(c *gin.Context) (string, error) {
	if d.shelf == nil {
		return "", httpedge.NewProblem(http.StatusNotImplemented, "this API keeps no files")
	}
	if user := identityOf(c).User; user != "" {
		return user, nil
	}
	return anonymous, nil
}

// fileForm are the fields of an upload.
type fileForm struct {
	purpose, anchor, seconds string
	name                     string
	upload                   *artifact.Upload
}

// createFile is POST /files.
func (d *Door) createFile(c *gin.Context) error {
	user, err := d.owner(c)
	if err != nil {
		return err
	}
	kind, parameters, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != "multipart/form-data" || parameters["boundary"] == "" {
		return httpedge.NewProblem(http.StatusUnsupportedMediaType,
			"send a form with the fields purpose and file as Content-Type: multipart/form-data")
	}
	sender := identityOf(c).User
	if sender == "" {
		sender = c.RemoteIP()
	}
	body, err := d.bodies.Stream(c.Writer, c.Request, sender, maxUploadBytes)
	if err != nil {
		return d.fileProblem(err)
	}
	form := &fileForm{}
	err = d.readForm(multipart.NewReader(body, parameters["boundary"]), user, form)
	_ = body.Close()
	if form.upload != nil {
		defer form.upload.Close()
	}
	if err != nil {
		c.Header("Connection", "close")
		return d.fileProblem(err)
	}
	keep, err := form.check()
	if err != nil {
		return err
	}
	id, err := files.FreshID()
	if err != nil {
		return err
	}
	made, err := d.shelf.Save(c.Request.Context(), user, files.File{ID: id, Filename: form.name, Purpose: form.purpose},
		form.upload, keep)
	if err != nil {
		return d.fileProblem(err)
	}
	return answer(c, http.StatusOK, made)
}

// readForm reads the fields of a form, the file's content to where it is kept.
func (d *Door) readForm(from *multipart.Reader, user string, form *fileForm) error {
	for range maxParts {
		part, err := from.NextRawPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return formError(err)
		}
		if part.FormName() == "file" && form.upload == nil {
			// Clients that send a path mean the file's name.
			form.name = part.FileName()
			if form.upload, err = d.config.Artifacts.Create(user); err != nil {
				return err //nolint:wrapcheck // fileProblem compares it
			}
			if _, err = io.Copy(form.upload, part); err != nil {
				return formError(err)
			}
			continue
		}
		text, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
		if err != nil {
			return formError(err)
		}
		field, known := map[string]*string{"purpose": &form.purpose, "expires_after[anchor]": &form.anchor,
			"expires_after[seconds]": &form.seconds}[part.FormName()]
		switch {
		case !known:
			return invalid(part.FormName(), "there is no field "+quote(part.FormName())+"; send purpose and one file")
		case len(text) > maxFieldBytes:
			return invalid(part.FormName(), "the field "+part.FormName()+" is too long")
		}
		*field = string(text)
	}
	return invalid("", "the form has too many parts")
}

// formError is a 400 for a form that is none; errors of the store and the edge stay what they are.
func formError(err error) error {
	if httpedge.ProblemOf(err) != nil || errors.Is(err, artifact.ErrTooLarge) || errors.Is(err, artifact.ErrUserFull) ||
		errors.Is(err, artifact.ErrFull) || errors.Is(err, httpedge.ErrTooLarge) {
		return err
	}
	return invalid("", fmt.Sprintf("the form cannot be read to its end: %.200s", err))
}

// purposes are those that a user can give a file.
func purposes() []string {
	return []string{"assistants", "batch", "evals", "fine-tune", "user_data", "vision"}
}

// check says what is wrong with a form, and how long its file is to be kept.
func (f *fileForm) check() (keep time.Duration, _ error) {
	switch wrong := artifact.CheckName(f.name); {
	case f.upload == nil:
		return 0, invalid("file", "the form has no file")
	case f.name == "":
		return 0, invalid("file", "the file has no name: send one as filename")
	case wrong != "":
		return 0, invalid("file", "the file's name "+wrong)
	case !slices.Contains(purposes(), f.purpose):
		return 0, invalid("purpose", "purpose must be one of "+strings.Join(purposes(), ", "))
	case f.purpose == "batch" && f.upload.Size() > batches.MaxFileBytes:
		return 0, invalid("file", fmt.Sprintf("the input of a batch may have %d bytes", batches.MaxFileBytes))
	case f.anchor == "" && f.seconds == "":
		return 0, nil
	case f.anchor != "created_at":
		return 0, invalid("expires_after.anchor", "the anchor must be created_at")
	}
	return keepFor("expires_after.seconds", f.seconds)
}

// keepFor reads how many seconds something is to be kept.
func keepFor(param, seconds string) (time.Duration, error) {
	n, err := strconv.ParseUint(seconds, 10, 32)
	if keep := time.Duration(n) * time.Second; err == nil && keep >= minKeep && keep <= maxKeep {
		return keep, nil
	}
	return 0, invalid(param, fmt.Sprintf("seconds must be a number from %.0f to %.0f", minKeep.Seconds(),
		maxKeep.Seconds()))
}

// listFiles is GET /files.
func (d *Door) listFiles(c *gin.Context) error {
	user, err := d.owner(c)
	if err != nil {
		return err
	}
	query := queryOf(c)
	limit, err := limitOf(query, defaultFiles, maxPage)
	if err != nil {
		return err
	}
	order := query.Get("order")
	if order != "" && order != "asc" && order != "desc" {
		return invalid("order", "order must be asc or desc")
	}
	list, more, err := d.shelf.List(c.Request.Context(), user, files.Page{
		After: query.Get("after"), Purpose: query.Get("purpose"), Limit: limit, Ascending: order == "asc",
	})
	if errors.Is(err, artifact.ErrNotFound) {
		return invalid("after", "there is no file "+quote(query.Get("after")))
	}
	if err != nil {
		return d.fileProblem(err)
	}
	ids := make([]string, len(list))
	for i, f := range list {
		ids[i] = f.ID
	}
	return answer(c, http.StatusOK, pageOf(list, ids, more))
}

// pageOf is a list as the API shows it.
func pageOf(data any, ids []string, more bool) map[string]any {
	page := map[string]any{"object": "list", "data": data, "has_more": more, "first_id": nil, "last_id": nil}
	if len(ids) > 0 {
		page["first_id"], page["last_id"] = ids[0], ids[len(ids)-1]
	}
	return page
}

func queryOf(c *gin.Context) url.Values {
	said, _ := c.Get(queryKey{})
	query, _ := said.(url.Values)
	return query
}

// limitOf is how many of something are asked for.
func limitOf(query url.Values, otherwise, most int) (int, error) {
	text := query.Get("limit")
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, invalid("limit", fmt.Sprintf("limit must be a number from 1 to %d", most))
	}
	return n, nil
}

// retrieveFile is GET /files/{id}.
func (d *Door) retrieveFile(c *gin.Context) error {
	user, err := d.owner(c)
	if err != nil {
		return err
	}
	f, err := d.shelf.Get(c.Request.Context(), user, c.Param("id"))
	if err != nil {
		return d.fileProblem(err)
	}
	return answer(c, http.StatusOK, f)
}

// fileContent is GET /files/{id}/content. Whatever the file is, no browser shows it as a page.
func (d *Door) fileContent(c *gin.Context) error {
	user, err := d.owner(c)
	if err != nil {
		return err
	}
	content, err := d.shelf.Open(c.Request.Context(), user, c.Param("id"))
	if err != nil {
		return d.fileProblem(err)
	}
	defer func() { _ = content.Close() }()
	for name, value := range map[string]string{
		"Content-Type": "application/octet-stream", "Content-Disposition": "attachment",
		"Cache-Control": "private, no-cache", "Content-Security-Policy": "sandbox; default-src 'none'",
	} {
		c.Header(name, value)
	}
	http.ServeContent(httpedge.Steady(c.Writer), c.Request, "", time.Time{}, content)
	return nil
}

// deleteFile is DELETE /files/{id}.
func (d *Door) deleteFile(c *gin.Context) error {
	user, err := d.owner(c)
	if err != nil {
		return err
	}
	if err := d.shelf.Delete(c.Request.Context(), user, c.Param("id")); err != nil {
		return d.fileProblem(err)
	}
	return answer(c, http.StatusOK, map[string]any{"id": c.Param("id"), "object": "file", "deleted": true})
}

// fileProblem is the answer for an error of what is kept.
func (d *Door) fileProblem(err error) error {
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return notFound("there is no such object; it may have expired, have been deleted, or be another user's")
	case errors.Is(err, artifact.ErrTooLarge), errors.Is(err, httpedge.ErrTooLarge):
		return httpedge.NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the file is larger than the %d bytes "+
			"that one may have here", min(maxUploadBytes, d.config.Artifacts.MaxFileBytes())))
	case errors.Is(err, artifact.ErrUserFull), errors.Is(err, files.ErrTooMany):
		return httpedge.NewProblem(http.StatusTooManyRequests, "there is no room for further files of this user: delete "+
			"some that are not needed any more, or wait until they have expired")
	case errors.Is(err, artifact.ErrBusy):
		return httpedge.TooMany("too many of this user's files, or of all, are being stored just now; try again")
	case errors.Is(err, artifact.ErrFull):
		return httpedge.NewProblem(http.StatusInsufficientStorage, "there is no room for this file")
	case errors.Is(err, artifact.ErrDamaged):
		return httpedge.NewProblem(http.StatusInternalServerError, "the file is damaged; upload it again")
	case errors.Is(err, artifact.ErrUnavailable):
		d.config.Logger.Error("the store of artifacts cannot be used", "error", err)
		return httpedge.Unavailable("the store of files does not answer; try again")
	}
	return err
}
