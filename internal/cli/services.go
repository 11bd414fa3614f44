package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
)

func (con *Console) servicesCommand() *cobra.Command {
	r := &connection{anyUser: true}
	cmd := &cobra.Command{
		Use:        "services",
		SuggestFor: []string{"service", "registry", "tasks", "methods"},
		Short:      "Lists the services that processors offer, and their tasks",
		Long: `Lists the services that processors offer, and their tasks. With -o json the JSON
Schemas of what the tasks take and give are there too. A processor that was killed is
counted for five minutes more.`,
		Example: `  tasklane services
  tasklane services -o json`,
		Args: NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				services, err := c.Services(ctx)
				if err != nil {
					return err
				}
				rows := make([]Row, len(services))
				for i, s := range services {
					rows[i] = serviceRow{s}
				}
				return con.Printer(r.form).All(rows)
			})
		},
	}
	r.addServer(cmd.Flags())
	return cmd
}

// serviceRow is a service as it is printed.
type serviceRow struct{ client.Service }

func (s serviceRow) Columns() []string {
	return []string{"SERVICE", "VERSIONS", "TASKS", "LANES", "WORKERS", "SINCE"}
}

func (s serviceRow) Cells() []string {
	names := make([]string, len(s.Tasks))
	for i, task := range s.Tasks {
		names[i] = task.Name
	}
	if s.Generic {
		names = append(names, "*")
	}
	versions := strings.Join(s.Versions, ",")
	if versions == "" {
		versions = "-"
	}
	return []string{
		s.Service.Service, versions, strings.Join(names, ","), strings.Join(s.Lanes, ","), fmt.Sprint(s.Workers),
		s.Since.Format(time.RFC3339),
	}
}
