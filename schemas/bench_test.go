package schemas

import (
	"testing"
	"time"
)

const typicalTask = `{"task_id":"7c0f9a52-7a51-4c56-9a10-2c9f6a1f7c11","user_id":"user-4711",` +
	`"task_name":"analyze_text","mode":"chat","service":"text_analyzer","step":1,"input_data":{"text":"Die Lieferung ` +
	`kam schnell und die Qualität ist hervorragend, gerne wieder!","id":18},"context":{"language":"auto",` +
	`"model":"small"},"priority":7,"time_limit_ms":60000,"labels":{"team":"support"},` +
	`"created_at":"2026-01-31T09:30:00.123Z"}`

func BenchmarkDecodeTask(b *testing.B) {
	value := []byte(typicalTask)
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if _, err := DecodeTask(value); err != nil {
			b.Fatal(err)
		}
	}
}

func runningEvent() *Event {
	return &Event{
		EventID: "fast/3-1767222000000-17", TaskID: "7c0f9a52-7a51-4c56-9a10-2c9f6a1f7c11", UserID: "user-4711",
		Attempt: 1, Kind: KindState, Status: Running, Step: 1, Task: "analyze_text",
		Message: "Executing task: analyze_text", Time: AtTime(time.UnixMilli(1767222000123)), Lane: "fast",
		Mode: "chat", Service: "text_analyzer", Worker: "processor-1",
		Source: &Source{Topic: "tasks.fast", Partition: 3, Offset: 123456},
	}
}

func BenchmarkEncodeEvent(b *testing.B) {
	event := runningEvent()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	value, err := runningEvent().Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeEvent(value); err != nil {
			b.Fatal(err)
		}
	}
}
