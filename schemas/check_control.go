package schemas

import "strings"

const (
	maxReasonChars = 2000
	maxControlRate = 1_000_000
	startsRule     = "must be above 0 and at most 1000000; use max_running 0 or a pause to start nothing"
)

// Check says which member is at fault and why; the problem is "" if none is.
func (c *Control) Check() (field, problem string) {
	if p := c.checkKind(); p != "" {
		return "kind", p
	}
	if field, p := c.Target.check(); p != "" {
		return field, p
	}
	if p := c.checkTarget(); p != "" {
		return "target.type", p
	}
	for _, m := range [...]struct{ field, problem string }{
		{"time", checkGiven(c.Time.IsZero())},
		{"by", checkName(c.By, maxNameChars)},
		{"reason", checkLength(c.Reason, maxReasonChars)},
		{"expires_at", c.checkExpiry()},
		{"off", checkOnly(c.Off && c.Kind != ControlKillSwitch, ControlKillSwitch)},
		{"deleted", checkOnly(c.Deleted && c.Kind != ControlCancel, ControlCancel)},
		{"limits", checkOnly(c.Limits != nil && c.Kind != ControlLimits, ControlLimits)},
	} {
		if m.problem != "" {
			return m.field, m.problem
		}
	}
	return c.checkLimits()
}

func (c *Control) checkKind() string {
	switch c.Kind {
	case ControlCancel, ControlPause, ControlResume, ControlLimits, ControlKillSwitch:
		return ""
	}
	return "must be one of cancel, pause, resume, limits, kill_switch"
}

func (c *Control) checkTarget() string {
	switch {
	case c.Kind == ControlCancel && c.Target.Type != TargetTask:
		return "must be task for a cancel; use a kill_switch for more than one task"
	case c.Kind == ControlLimits && c.Target.Type == TargetTask:
		return "must be task_name, service, user or lane for limits"
	}
	return ""
}

func (c *Control) checkExpiry() string {
	if c.Kind == ControlCancel && c.ExpiresAt == nil {
		return missing + "; say when the cancel becomes void"
	}
	return ""
}

func (c *Control) checkLimits() (field, problem string) {
	if c.Kind != ControlLimits {
		return "", ""
	}
	if c.Limits == nil {
		return "limits", missing + "; give {} for no limit"
	}
	if p := checkRange(c.Limits.MaxRunning, 0, maxControlRate); p != "" {
		return "limits.max_running", p
	}
	if r := c.Limits.MaxStartsPerS; r != nil && !(*r > 0 && *r <= maxControlRate) {
		return "limits.max_starts_per_s", startsRule
	}
	return "", ""
}

func checkGiven(absent bool) string {
	if absent {
		return missing + "; send when it was asked, such as 2026-01-31T09:30:00Z"
	}
	return ""
}

func checkOnly(wrong bool, kind ControlKind) string {
	if wrong {
		return "is for kind " + string(kind) + " only; leave it out"
	}
	return ""
}

// check wants the members of the target's type and no other.
func (t *Target) check() (field, problem string) {
	known := false
	own := make(map[string]bool)
	for _, m := range t.members() {
		if m.of == t.Type {
			known, own[m.name] = true, true
		}
	}
	if !known {
		return "target.type", "must be one of task, task_name, service, user, lane"
	}
	for _, m := range t.members() {
		switch {
		case !own[m.name] && *m.value != "":
			return "target." + m.name, "does not belong to a target of type " + string(t.Type) + "; leave it out"
		case m.of != t.Type:
			continue
		}
		if p := checkTargetName(m.name, *m.value); p != "" {
			return "target." + m.name, p
		}
	}
	return "", ""
}

func checkTargetName(name, value string) string {
	switch {
	case name == "task_id":
		return CheckTaskID(value)
	case name == "lane" && !lanePattern.MatchString(value):
		return "must be a lane's name, such as fast"
	}
	return checkText(value, maxNameChars, "name the "+strings.ReplaceAll(name, "_", " ")+" it is about")
}
