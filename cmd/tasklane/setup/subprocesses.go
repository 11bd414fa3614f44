package setup

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/subprocess"
)

// Subprocesses are the services that run in processes of their own.
func Subprocesses(settings *config.Settings, lookup Lookup, log *slog.Logger) ([]processor.Service, error) {
	var services []processor.Service
	for _, name := range slices.Sorted(maps.Keys(settings.Subprocesses)) {
		set := settings.Subprocesses[name]
		command, err := config.SplitCommand(set.Command)
		if err != nil {
			return nil, cli.AsUsage(fmt.Errorf("subprocesses.%s.command: %w", name, err))
		}
		mode, service, _ := strings.Cut(name, "/")
		pool, err := subprocess.New(subprocess.Config{
			Mode: mode, Name: service, Command: command, Children: set.Children, GPUs: set.GPUs, MaxTasks: set.MaxTasks,
			MaxMemory: int64(set.MaxMemory), InitTimeout: set.InitTimeout, StopTimeout: set.StopTimeout, Env: set.Env,
			Lookup: lookup, Logger: log,
		})
		if err != nil {
			return nil, cli.AsUsage(err)
		}
		services = append(services, pool.Service())
	}
	return services, nil
}
