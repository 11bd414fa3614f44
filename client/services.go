package client

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Service is a service as all processors together offer it.
type Service struct {
	// Service is "mode/name".
	Service     string `json:"service"`
	Mode        string `json:"mode"`
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	// Versions are those that are offered side by side, none where it has none.
	Versions []string `json:"versions"`
	// Lanes are those from which somebody takes its tasks.
	Lanes []string `json:"lanes"`
	// Workers is how many processors offer it, and Since when the first of them began to.
	Workers int          `json:"workers"`
	Since   schemas.Time `json:"since"`
	// Generic says that task names beyond those listed are taken too.
	Generic bool          `json:"generic"`
	Tasks   []ServiceTask `json:"tasks"`
}

// ServiceTask is a task of a service. Input and Result are JSON Schemas of input_data and
// of the result; none where they may be anything.
type ServiceTask struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitzero"`
	Input       jsontext.Value `json:"input,omitzero"`
	Result      jsontext.Value `json:"result,omitzero"`
}

// Services are what processors offer now, in the order of their names. A processor that
// was killed is among them for five minutes more.
func (c *Client) Services(ctx context.Context) ([]Service, error) {
	got, err := c.do(ctx, c.newRetry(), call{method: http.MethodGet, path: []string{"v1", "services"}})
	var list struct {
		Services []Service `json:"services"`
	}
	if err == nil {
		err = got.decode(&list)
	}
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	return list.Services, nil
}
