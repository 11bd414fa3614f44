package api

import (
	"net/http"
	"strings"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// maxUnknown is how many unknown members a refusal names.
const maxUnknown = 20

// checkUnknown refuses a task with members that are not known: one that was misspelt
// would be accepted and not done. Who sends members for a later version, or for others
// who read the lane, says so with Prefer: handling=lenient.
func checkUnknown(header http.Header, t *schemas.Task) error {
	names := t.UnknownFields()
	if len(names) == 0 {
		return nil
	}
	if prefersLenient(header) {
		return nil
	}
	bad := unknownField(names[0])
	bad.Detail += " To have members kept that are not known, send the header Prefer: handling=lenient."
	for _, name := range names[1:min(len(names), maxUnknown)] {
		also := unknownField(name)
		bad.Errors = append(bad.Errors, httpedge.FieldError{Field: also.Field, Detail: also.Detail})
	}
	return bad
}

// prefersLenient reports whether a request has the preference handling=lenient
// (RFC 7240). Of several the first counts.
func prefersLenient(header http.Header) bool {
	for _, line := range header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			first, _, _ := strings.Cut(preference, ";")
			name, value, _ := strings.Cut(first, "=")
			if strings.EqualFold(strings.TrimSpace(name), "handling") {
				return strings.EqualFold(strings.Trim(strings.TrimSpace(value), `"`), "lenient")
			}
		}
	}
	return false
}

func unknownField(name string) *httpedge.Problem {
	if ours := otherWord(name); ours != "" {
		return httpedge.UnknownMember(name, ours)
	}
	return httpedge.UnknownMember(name, append(schemas.TaskFields(), "lane")...)
}

// otherWord is the member that has what Celery and others have under a name that is not near to ours, "" if none has.
func otherWord(name string) string {
	switch name {
	case "queue", "routing_key":
		return "lane"
	case "task", "name", "type":
		return "task_name"
	case "id", "job_id":
		return "task_id"
	case "args", "kwargs", "payload", "data", "body":
		return "input_data"
	case "eta", "countdown", "delay":
		return "not_before"
	case "expires", "ttl":
		return "expires_at"
	case "max_retries", "retries", "attempts":
		return "retry.max_attempts"
	case "link", "link_error", "webhook":
		return "callback_url"
	}
	return ""
}
