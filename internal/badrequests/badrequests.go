// Package badrequests has requests that the API refuses, and with what: the API and the
// server that tests of submitting code use are held to the same list, so that no test is
// green where the API says no.
package badrequests

import "net/http"

// Request is one that is refused.
type Request struct {
	Name, Method, Path, Body string
	// Status and Field are of the problem, Says is part of its detail.
	Status      int
	Field, Says string
}

// All are the requests. Of the user ada there is the task "there".
func All() []Request {
	const wrong = http.StatusUnprocessableEntity
	requests := []Request{
		{"no JSON", "POST", "/v1/tasks", "{", http.StatusBadRequest, "", "not valid JSON"},
		{"a member twice", "POST", "/v1/tasks", `{"lane":"fast","lane":"fast"}`, http.StatusBadRequest, "", "not valid JSON"},
		{"a list", "POST", "/v1/tasks", "[]", wrong, "", "one JSON object"},
		{"null", "POST", "/v1/tasks", "null", wrong, "", "one JSON object"},
		{"no lane", "POST", "/v1/tasks", task("", ""), wrong, "lane", "lane"},
		{"no such lane", "POST", "/v1/tasks", task("gpu", ""), wrong, "lane", "lane"},
		{"a lane of another type", "POST", "/v1/tasks", `{"lane":5}`, wrong, "lane", "lane"},
		{"a misspelt member", "POST", "/v1/tasks", task("fast", `,"not_befor":"2030-01-01T00:00:00Z"`), wrong, "not_befor",
			`"not_before"`},
		{"one inside", "POST", "/v1/tasks", task("fast", `,"retry":{"max_atempts":1}`), wrong, "retry.max_atempts",
			`"retry.max_attempts"`},
		{"a priority", "POST", "/v1/tasks", task("fast", `,"priority":11`), wrong, "priority", "priority must be"},
		{"an id", "POST", "/v1/tasks", task("fast", `,"task_id":".."`), wrong, "task_id", "must not be . or .."},
		{"an id of another type", "POST", "/v1/tasks", task("fast", `,"task_id":7`), wrong, "task_id", "must be a string"},
		{"an id that is taken", "POST", "/v1/tasks", task("fast", `,"task_id":"there","step":9`), http.StatusConflict, "",
			"another task"},
		{"a task that is not there", "GET", "/v1/tasks/gone?user_id=ada", "", http.StatusNotFound, "", "no such task"},
		{"a wait", "GET", "/v1/tasks/there/result?wait=soon", "", wrong, "wait", "wait must be"},
		{"a cancel of two users", "POST", "/v1/tasks/there/cancel?user_id=ada", `{"user_id":"bob"}`, wrong, "user_id",
			"differs"},
		{"a cancel's typo", "POST", "/v1/tasks/there/cancel", `{"usr_id":"ada"}`, wrong, "usr_id", `Did you mean "user_id"?`},
		{"no such thing", "GET", "/v1/nothing", "", http.StatusNotFound, "", "nothing here"},
		{"no such method", "DELETE", "/v1/tasks/there", "", http.StatusMethodNotAllowed, "", "does not take DELETE"},
	}
	for _, path := range []string{"/v1/tasks/there", "/v1/tasks/there/result", "/v1/tasks/there/events"} {
		requests = append(requests,
			Request{"a semicolon", "GET", path + "?user_id=a;b", "", wrong, "user_id", "%3B"},
			Request{"a parameter twice", "GET", path + "?user_id=ada&user_id=ada", "", wrong, "user_id", "more than once"},
			Request{"an empty user", "GET", path + "?user_id=", "", wrong, "user_id", "is empty"},
			Request{"a misspelt parameter", "GET", path + "?user=ada", "", wrong, "user", `Did you mean "user_id"?`},
		)
	}
	return requests
}

// Task is the body of a submission that is taken, with the id "there".
func Task() string { return task("fast", `,"task_id":"there"`) }

func task(lane, more string) string {
	if lane != "" {
		more += `,"lane":"` + lane + `"`
	}
	return `{"user_id":"ada","task_name":"answer","mode":"chat","service":"assistant"` + more + `}`
}
