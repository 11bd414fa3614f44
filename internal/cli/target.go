package cli

import (
	"strings"

	"github.com/aiecs/tasklane/schemas"
)

// targetHelp says how a command line names what it is about.
const targetHelp = `TYPE is task, task_name, service, user or lane. NAME is the task's USER/TASK_ID,
the service's MODE/SERVICE, or the name itself.`

// parseTarget reads TYPE and NAME. A task's id has no slash, so its user may have
// one. A mode with a slash cannot be named here, only over the API.
func parseTarget(kind, name string) (schemas.Target, error) {
	t := schemas.Target{Type: schemas.TargetType(kind)}
	switch t.Type {
	case schemas.TargetTask:
		if at := strings.LastIndexByte(name, '/'); at >= 0 {
			t.UserID, t.TaskID = name[:at], name[at+1:]
		}
	case schemas.TargetService:
		t.Mode, t.Service, _ = strings.Cut(name, "/")
	case schemas.TargetTaskName:
		t.TaskName = name
	case schemas.TargetUser:
		t.UserID = name
	case schemas.TargetLane:
		t.Lane = name
	}
	if _, err := schemas.ParseTarget(t.String()); err != nil {
		return schemas.Target{}, Usagef("%s %q: %w; %s", kind, name, err, strings.ReplaceAll(targetHelp, "\n", " "))
	}
	return t, nil
}
