package subprocess

import (
	"strconv"
	"strings"
)

// environment is that of a child: what every program needs, what is named, and which child it is.
func (c *Config) environment(seat int) []string {
	var env []string
	for _, name := range append([]string{"PATH", "HOME", "LANG", "TMPDIR"}, c.Env...) {
		if strings.Contains(name, "=") {
			env = append(env, name)
			continue
		}
		if value, ok := c.Lookup(name); ok {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, "TASKLANE_CHILD="+strconv.Itoa(seat))
	if len(c.GPUs) > 0 {
		env = append(env, "CUDA_VISIBLE_DEVICES="+c.GPUs[seat])
	}
	return env
}
