package processor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

type order struct {
	Item  string  `json:"item"`
	Count *int    `json:"count"`
	Price float64 `json:"price"`
	Tags  []struct {
		Name string `json:"name"`
	} `json:"tags"`
	Rush bool `json:"rush"`
	Size uint8
	At   schemas.Time `json:"at,omitzero"`
}

func (o order) Validate() error {
	if o.Item == "" {
		return processor.Invalid("item", "is missing")
	}
	if o.Item == "nothing" {
		return errors.New("one cannot order nothing")
	}
	return nil
}

type receipt struct {
	Text string `json:"text"`
}

func place(_ context.Context, c *processor.Context, in order) (receipt, error) {
	count := 1
	if in.Count != nil {
		count = *in.Count
	}
	return receipt{fmt.Sprintf("%d %s for %s", count, in.Item, c.Task().UserID)}, nil
}

// contextOf is the context of a first attempt whose reports go to events.
func contextOf(input string, events *[]*schemas.Event, options ...processor.ContextOption) *processor.Context {
	t := &schemas.Task{TaskID: "t", UserID: "ada", TaskName: "place", Mode: "shop", Service: "orders",
		InputData: jsontext.Value(input)}
	return processor.NewContext(t, "fast", 1, func(_ context.Context, e *schemas.Event) error {
		if events != nil {
			*events = append(*events, e)
		}
		return nil
	}, options...)
}

func TestMethodDecodes(t *testing.T) {
	for input, want := range map[string]string{
		`{"item":"tea","count":3,"price":1.5,"tags":[{"name":"x"}],"rush":true,"Size":9}`: "3 tea for ada",
		`{"item":"tea","count":null}`: "1 tea for ada",
	} {
		got, err := processor.Method(place)(t.Context(), contextOf(input, nil))
		if err != nil || got != (receipt{want}) {
			t.Errorf("%s: %v, %v", input, got, err)
		}
	}
}

func TestMethodNamesTheMemberAtFault(t *testing.T) {
	for input, want := range map[string]string{
		`{"item":5}`:                             "input_data.item must be a string, not a number",
		`{"item":"tea","count":"3"}`:             "input_data.count must be a whole number, not a string",
		`{"item":"tea","count":1.5}`:             "input_data.count must be a whole number, not 1.5",
		`{"item":"tea","count":1e99}`:            "input_data.count must be a whole number, not 1e99",
		`{"item":"tea","price":[]}`:              "input_data.price must be a number, not an array",
		`{"item":"tea","rush":"yes"}`:            "input_data.rush must be true or false, not a string",
		`{"item":"tea","Size":-1}`:               "input_data.Size must be a whole number of 0 or more, not -1",
		`{"item":"tea","Size":300}`:              "input_data.Size must be a whole number",
		`{"item":"tea","tags":{}}`:               "input_data.tags must be an array, not an object",
		`{"item":"tea","tags":[{},true]}`:        "input_data.tags.1 must be an object, not a boolean",
		`{"item":"tea","tags":[{"nam":1}]}`:      "input_data.tags.0.nam is not known",
		`{"item":"tea","conut":3}`:               "input_data.conut is not known",
		`{"item":"tea","Count":3}`:               "input_data.Count is not known",
		`{"a/b~":1}`:                             "input_data.a/b~ is not known",
		`{"` + strings.Repeat("ü", 500) + `":1}`: "ü... is not known",
		`{}`:                         "input_data.item is missing",
		``:                           "input_data.item is missing",
		`null`:                       "input_data.item is missing",
		`{"item":"nothing"}`:         "input_data is not valid: one cannot order nothing",
		`{"item":"tea","at":"noon"}`: "input_data.at cannot be read: \"noon\" is not an RFC 3339 time",
		`[1]`:                        "input_data must be an object, not an array",
	} {
		_, err := processor.Method(place)(t.Context(), contextOf(input, nil))
		var wrong *processor.InputError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) || len(err.Error()) > 250 {
			t.Errorf("%s: %v, want %q", input, err, want)
		}
	}
}

func TestMethodTakesMoreIfItsInputDoes(t *testing.T) {
	type open struct {
		Item string         `json:"item"`
		Rest jsontext.Value `json:",embed"`
	}
	handler := processor.Method(func(_ context.Context, _ *processor.Context, in open) (string,
		error) {
		return string(in.Rest), nil
	})
	if got, err := handler(t.Context(), contextOf(`{"item":"tea","more":1}`, nil)); err != nil || got != `{"more":1}` {
		t.Errorf("got %v, %v", got, err)
	}
}

// Validate with a pointer receiver is found too.
type even struct{ N int }

func (e *even) Validate() error {
	if e.N%2 != 0 {
		return processor.Invalid("N", "is odd")
	}
	return nil
}

func TestValidateByPointer(t *testing.T) {
	half := processor.Method(func(_ context.Context, _ *processor.Context, in even) (int, error) { return in.N / 2, nil })
	if got, err := half(t.Context(), contextOf(`{"N":4}`, nil)); err != nil || got != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := half(t.Context(), contextOf(`{"N":3}`, nil)); err == nil || err.Error() != "input_data.N is odd" {
		t.Errorf("got %v", err)
	}
}
