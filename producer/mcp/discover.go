package mcp

import (
	"cmp"
	"time"

	"github.com/gin-gonic/gin"
)

// discoverTTL is how long a client may go by what the server says of itself.
const discoverTTL = time.Hour

const instructions = "The tools are tasks of the services of a Tasklane, which a queue runs: a call may wait for a " +
	"free slot, and large work takes its time. A result with isError says what to change. Files are named by their " +
	"artifact hash."

func (d *Door) info() object {
	return object{"name": "tasklane", "title": "Tasklane", "version": cmp.Or(d.config.Version, "devel")}
}

// initialize is how clients of earlier versions begin. There is no session: nothing of it is kept.
func (d *Door) initialize(c *gin.Context, r *request) error {
	var asked struct {
		Version string `json:"protocolVersion"`
	}
	if err := r.read(&asked); err != nil {
		return err
	}
	if !isLegacy(asked.Version) {
		asked.Version = version20251125
	}
	capabilities := object{"tools": object{}}
	if asked.Version == version20251125 {
		capabilities["tasks"] = object{
			"cancel": object{}, "requests": object{"tools": object{"call": object{}}},
		}
	}
	return d.answer(c, r, object{
		"protocolVersion": asked.Version, "capabilities": capabilities, "serverInfo": d.info(),
		"instructions": instructions,
	})
}

func (d *Door) ping(c *gin.Context, r *request) error { return d.answer(c, r, object{}) }

// discover is what there is to know before any other request.
func (d *Door) discover(c *gin.Context, r *request) error {
	return d.answer(c, r, d.complete(r, object{
		"supportedVersions": versions(),
		"capabilities":      object{"tools": object{}, "extensions": object{tasksExtension: object{}}},
		"instructions":      instructions,
		"ttlMs":             discoverTTL.Milliseconds(), "cacheScope": "public",
	}))
}
