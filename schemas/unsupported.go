package schemas

// Unsupported names the first member by which the task asks for something this
// version does not do yet, "" if there is none. Such a task is refused: running
// it at once though it was to wait would be worse. Members leave the list as
// processors learn them.
func (t *Task) Unsupported() string {
	for _, member := range [...]struct {
		name string
		used bool
	}{
		{"depends_on", len(t.DependsOn) > 0},
		{"on_success", len(t.OnSuccess) > 0 && string(t.OnSuccess) != "null"},
		{"on_failure", len(t.OnFailure) > 0 && string(t.OnFailure) != "null"},
		{"version", t.Version != ""},
	} {
		if member.used {
			return member.name
		}
	}
	return ""
}
