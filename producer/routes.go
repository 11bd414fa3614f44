package producer

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/producer/api"
	"github.com/aiecs/tasklane/producer/mcp"
	"github.com/aiecs/tasklane/producer/openai"
	"github.com/aiecs/tasklane/schemas"
)

// newAPI makes the API on what Run has made.
func (p *Producer) newAPI() *api.API {
	c := p.config
	a := api.New(api.Config{
		Lanes: c.Lanes, Writer: p.lanes, View: p.view, Services: p.services, Controls: p.controls,
		ControlWriter: p.controlWriter, Auth: p.auth, Artifacts: c.Artifacts,
		ProduceTimeout: c.ProduceTimeout, MaxInFlight: c.MaxInFlight, MaxInFlightBytes: c.MaxInFlightBytes,
		Submitted: p.metrics.submitted, Logger: p.logger,
	})
	p.metrics.serves(a)
	return a
}

// router is everything that the role serves.
func (p *Producer) router() httpedge.Router {
	return httpedge.Router{
		Refusals: refusals(),
		Routes: routes(p.api, p.doors, httpedge.Health{Ready: p.readiness, Warnings: p.warnings, Metrics: p.writeMetrics,
			JSON: true}),
		Help: "the API is described at /openapi.yaml", Logger: p.logger, Observe: p.metrics.request,
	}
}

// warnings are those of the API and of the roles that share the process.
func (p *Producer) warnings() []string {
	all := p.api.Warnings()
	for _, more := range p.config.Warnings {
		all = append(all, more()...)
	}
	return all
}

// routes is the whole table; a test compares it with openapi.yaml.
func routes(a *api.API, d doors, health httpedge.Health) []httpedge.Route {
	return slices.Concat(a.Routes(), d.openai.Routes(), d.mcp.Routes(), health.Routes())
}

// doors are the protocols of others that the role serves.
type doors struct {
	openai *openai.Door
	mcp    *mcp.Door
}

func (d doors) drain() {
	d.openai.Drain()
	d.mcp.Drain()
}

// refusals are the forms of errors other than problem+json, by the paths that have them.
func refusals() map[string]func(http.ResponseWriter, *httpedge.Problem) {
	return map[string]func(http.ResponseWriter, *httpedge.Problem){
		openai.Prefix + "/": openai.Refuse, mcp.Path: mcp.Refuse,
	}
}

// newDoors makes the OpenAI API and the Model Context Protocol on the same.
func (p *Producer) newDoors() doors {
	return doors{openai: p.newOpenAI(), mcp: mcp.New(mcp.Config{
		Tasks: tasks{p.api, p.controls}, View: p.view, Services: p.services, Auth: p.auth, Result: p.api.Result,
		Lanes: p.config.Lanes, Retention: cmp.Or(p.config.Retention, taskview.DefaultRetention),
		Version: p.config.Version, Logger: p.logger,
	})}
}

func (p *Producer) newOpenAI() *openai.Door {
	c := p.config
	lane := c.Lanes[0]
	background := c.Lanes[len(c.Lanes)-1]
	return openai.New(openai.Config{
		Tasks: tasks{p.api, p.controls}, View: p.view, Auth: p.auth, Result: p.api.Result, Artifacts: c.Artifacts,
		Models: c.Models, Lane: lane, Background: background, Logger: p.logger,
	})
}

// tasks is where the doors' requests become tasks.
type tasks struct {
	*api.API
	*control.Controls
}

// Submit puts a task on its lane.
func (t tasks) Submit(ctx context.Context, body []byte, header http.Header, who auth.Identity) error {
	_, err := t.API.Submit(ctx, body, header, who)
	return err //nolint:wrapcheck // the edge has an answer for each
}

// Control writes a control.
func (t tasks) Control(ctx context.Context, wanted *schemas.Control) error {
	return t.WriteControl(ctx, wanted) //nolint:wrapcheck // the edge has an answer for each
}
