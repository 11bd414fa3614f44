package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// ServiceList is the answer to GET /v1/services.
type ServiceList struct {
	Services []definitions.Offer `json:"services"`
}

// listServices is GET /v1/services.
func (a *API) listServices(c *gin.Context) error {
	return answer(c, http.StatusOK, ServiceList{a.config.Services.Services()})
}

// checkInput refuses a task whose input suits no processor that has its service.
func (a *API) checkInput(task *schemas.Task) error {
	wrong := a.config.Services.Check(task)
	if wrong == nil {
		return nil
	}
	refusal := httpedge.Invalid(wrong.Field("input_data"), wrong.Error())
	refusal.Pointer = "#/input_data" + string(wrong.Pointer)
	return refusal
}
