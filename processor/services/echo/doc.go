// Package echo is the service debug/echo: tasks that wait, report, stream, fail,
// hang, panic or end the process as they are told, for trying out everything
// around a task. It must not be offered to users who are not trusted: hang
// occupies a slot and exit ends the processor.
package echo
