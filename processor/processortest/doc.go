// Package processortest runs a service's handlers without Kafka, as a processor
// would: attempts with their context, time limits, retries, steps that are
// remembered, and the one end.
//
//	outcome := processortest.Run(t, orders.New(), processortest.Task("place", map[string]any{"item": "tea"}))
//	if outcome.Status() != schemas.Completed {
//		t.Errorf("ended %s: %s", outcome.Status(), outcome.End.Error)
//	}
//
// Which attempt is followed by another, when, and what the end is called is
// decided by the processor's own code. Waits between attempts pass at once.
// Time limits and what a handler sleeps are real time, or virtual in a bubble of
// testing/synctest. Unique tasks that are run [WithClaims] are duplicates of one
// another. What else depends on other tasks (queues, priorities, limits) or on the
// log (fences, take-over, not_before) is not here.
package processortest
