package mcp

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
)

// The methods that are served.
const (
	methodInitialize  = "initialize"
	methodPing        = "ping"
	methodDiscover    = "server/discover"
	methodList        = "tools/list"
	methodCall        = "tools/call"
	methodTasksGet    = "tasks/get"
	methodTasksResult = "tasks/result"
	methodTasksUpdate = "tasks/update"
	methodTasksCancel = "tasks/cancel"
)

// handler answers a request, or says why not.
type handler func(c *gin.Context, r *request) error

// handlers are the methods of a version.
func (d *Door) handlers(version string) map[string]handler {
	all := map[string]handler{methodList: d.listTools, methodCall: d.callTool}
	switch version {
	case version20260728:
		all[methodDiscover] = d.discover
		all[methodTasksGet] = forTasks(d.getTask)
		all[methodTasksUpdate] = forTasks(d.updateTask)
		all[methodTasksCancel] = forTasks(d.cancelTask)
		return all
	case version20251125:
		all[methodTasksGet], all[methodTasksResult], all[methodTasksCancel] = d.getTask, d.taskResult, d.cancelTask
	}
	all[methodInitialize], all[methodPing] = d.initialize, d.ping
	return all
}

// dispatch answers a message. A notification is taken and changes nothing: what it could be about is kept nowhere.
func (d *Door) dispatch(c *gin.Context, r *request) error {
	if !r.isRequest() {
		if r.Method == "" && c.GetHeader(headerVersion) == version20260728 {
			return newError(invalidRequest, "responses are not taken since 2026-07-28: the server asks for nothing")
		}
		c.Status(http.StatusAccepted)
		c.Writer.WriteHeaderNow()
		return nil
	}
	if err := r.settle(c.Request.Header); err != nil {
		return err
	}
	serve, known := d.handlers(r.version)[r.Method]
	if !known {
		return newError(methodNotFound, "there is no method "+quoted(r.Method)+" in version "+r.version)
	}
	return serve(c, r)
}

// forTasks asks for the extension that a method belongs to.
func forTasks(serve handler) handler {
	return func(c *gin.Context, r *request) error {
		if r.takesTasks {
			return serve(c, r)
		}
		e := newError(missingCapability, "the method is of the extension "+tasksExtension+
			"; name it in "+metaCapabilities+".extensions")
		e.data = object{"requiredCapabilities": object{"extensions": object{tasksExtension: object{}}}}
		return e
	}
}

// read decodes a request's params.
func (r *request) read(into any) error {
	if len(r.Params) == 0 {
		return nil
	}
	err := json.Unmarshal(r.Params, into)
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		at := strings.ReplaceAll(string(semantic.JSONPointer), "/", ".")
		return newError(invalidParams, "params"+at+" is not of the form that "+r.Method+" takes")
	}
	if err != nil {
		return newError(invalidParams, "params are not of the form that "+r.Method+" takes")
	}
	return nil
}

// response is a result as the answer to the request.
func (r *request) response(result object) object {
	return object{"jsonrpc": "2.0", "id": r.ID, "result": result}
}

// complete is a result that is all there is to say, with what a version adds to each.
func (d *Door) complete(r *request, result object) object { return d.result(r, "complete", result) }

func (d *Door) result(r *request, kind string, result object) object {
	if !r.modern {
		return result
	}
	meta, _ := result["_meta"].(object)
	if meta == nil {
		meta = object{}
	}
	meta[metaServer] = d.info()
	result["resultType"], result["_meta"] = kind, meta
	return result
}

// answer sends a result at once.
func (d *Door) answer(c *gin.Context, r *request, result object) error {
	return send(c.Writer, http.StatusOK, r.response(result))
}
