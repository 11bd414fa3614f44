package mcp

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/httpedge"
)

const (
	// toolsTTL is how long a client may go by a list of tools.
	toolsTTL = 10 * time.Second
	// A page of tools ends at this many, or with the tool that takes it over so many bytes.
	maxPageTools = 1000
	maxPageBytes = 4 << 20
)

// tool is a task that a service describes.
type tool struct {
	name  string
	offer *definitions.Offer
	task  *definitions.OfferedTask
}

// tools are all there are, in the order of their names.
func (d *Door) tools() ([]tool, error) {
	select {
	case <-d.config.Services.Ready():
	default:
		return nil, httpedge.Unavailable("it is not known yet which services there are; try again")
	}
	offers := d.config.Services.Services()
	var all []tool
	for i := range offers {
		for k := range offers[i].Tasks {
			offer, task := &offers[i], &offers[i].Tasks[k]
			all = append(all, tool{toolName(offer.Mode, offer.Name, task.Name), offer, task})
		}
	}
	slices.SortStableFunc(all, func(a, b tool) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(all, func(a, b tool) bool { return a.name == b.name }), nil
}

// tool finds one by its name.
func (d *Door) tool(name string) (tool, error) {
	all, err := d.tools()
	if err != nil {
		return tool{}, err
	}
	at, found := slices.BinarySearchFunc(all, name, func(t tool, name string) int {
		return strings.Compare(t.name,
			name)
	})
	if !found {
		return tool{}, newError(invalidParams, "there is no tool "+quoted(name)+
			"; ask for tools/list, and look whether a processor offers its service")
	}
	return all[at], nil
}

// listTools is tools/list.
func (d *Door) listTools(c *gin.Context, r *request) error {
	var asked struct {
		Cursor *string `json:"cursor"`
	}
	if err := r.read(&asked); err != nil {
		return err
	}
	all, err := d.tools()
	if err != nil {
		return err
	}
	if asked.Cursor != nil {
		after, err := base64.RawURLEncoding.DecodeString(*asked.Cursor)
		if err != nil {
			return newError(invalidParams, "params.cursor is not one that was given; begin without")
		}
		at, found := slices.BinarySearchFunc(all, string(after), func(t tool, name string) int {
			return strings.Compare(t.name, name)
		})
		if found {
			at++
		}
		all = all[at:]
	}
	page, size := []object{}, 0
	for i := 0; i < len(all) && len(page) < maxPageTools && size < maxPageBytes; i++ {
		page = append(page, all[i].describe(r))
		size += len(all[i].task.Input) + len(all[i].task.Description)
	}
	result := object{"tools": page}
	if len(page) < len(all) {
		result["nextCursor"] = base64.RawURLEncoding.EncodeToString([]byte(all[len(page)-1].name))
	}
	if r.modern {
		result["ttlMs"], result["cacheScope"] = toolsTTL.Milliseconds(), "private"
	}
	return d.answer(c, r, d.complete(r, result))
}

// describe is a tool as a client sees it. What a service says its results are is not told: nothing checks that they
// are, and clients would refuse results that are not.
func (t tool) describe(r *request) object {
	described := cmp.Or(t.task.Description, "Runs the task "+t.task.Name+".")
	if t.offer.Description != "" {
		described += " Service " + t.offer.Service + ": " + t.offer.Description
	}
	o := object{
		"name": t.name, "title": t.task.Name + " (" + t.offer.Service + ")", "description": described,
		"inputSchema": inputSchema(t.task.Input),
	}
	if r.version == version20251125 {
		o["execution"] = object{"taskSupport": "optional"}
	}
	return o
}

// lane is where the calls of a tool go: the first lane, or the first from which somebody takes the service's tasks.
func (t tool) lane(lanes []string) string {
	if len(t.offer.Lanes) > 0 {
		for _, lane := range lanes {
			if slices.Contains(t.offer.Lanes, lane) {
				return lane
			}
		}
	}
	return lanes[0]
}
