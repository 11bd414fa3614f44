package main

import (
	"bytes"
	"testing"

	"github.com/aiecs/tasklane/internal/cli"
)

func TestATopicIsPrintedAsWireForm(t *testing.T) {
	var out bytes.Buffer
	console := cli.Console{Stdout: &out}
	topic := topicRow{Name: "tasks.fast", Partitions: 8, Created: true, Warnings: []string{"w"}}
	if err := console.Printer(cli.FormLines).One(topic); err != nil {
		t.Fatal(err)
	}
	if want := `{"topic":"tasks.fast","partitions":8,"created":true,"warnings":["w"]}` + "\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
}
