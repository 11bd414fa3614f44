// Package runqueue decides what runs next and owns the slots it runs in. It
// knows nothing of Kafka, shards or handlers.
//
// # The order
//
// Users take turns by fair queueing in virtual time (self-clocked, Golestani
// 1994): the shares of a deficit round robin, but the next is found in O(log n)
// among any number of users. Starting a task of priority p and cost s costs its
// user
//
//	s * 27720 / (p+1)
//
// of virtual time, and whoever would be through first is next. The clock is
// where the user that was served last began. A user who comes, or comes back, has
// a head start of at most three tasks of priority 5 for each slot: while some of
// it is left, they are served before those of the same priority who have none.
// Being away for longer earns no more, and what was used comes back only as fast
// as a share of the turns would have. So someone who wants little waits for
// nobody's backlog. What a user owes is at most what their next task costs at its
// own priority. So
//
//   - between users who always have tasks waiting, a user's share is
//     proportional to priority + 1: eleven turns at priority 10 for one at
//     priority 0, the same for everybody at the same priority. No mixture of
//     priorities earns more than the highest of them alone;
//   - while a user waits with a task of priority p that may run, no other user is
//     served more than 11/(p+1) + 2 times, beside what is left of their head
//     start. That bounds the wait, so no user starves;
//   - a task of priority 9 goes before all that users wait with at priority 1,
//     whoever they and its user are, and however recently that user was served.
//
// Among one user's own tasks the highest priority goes first, and every 30 s of
// waiting count as one priority more: nothing starves there either.
//
// With [Config.Ordered] a user's tasks run one at a time in the order of
// [Item.Order], whatever their priority; priorities still weigh between users. A
// task that waits with [Item.Holds] holds its user's others back.
//
// # What may not run yet
//
// Not due, not allowed by a [Rule], too big for the free slots, or a suspect
// while another one runs: such items hold no slot and stand in nobody's way.
// They are put aside when their turn first comes and are not looked at again
// before what they wait for has changed. Limits that reopen let in as many
// users as there is room for, in the order above.
//
// # Slots
//
// An item takes as many slots as it costs. One whose turn it is and that does
// not fit lets smaller ones pass, but at most as many as the queue has slots,
// and for at most [Patience]; from then on slots that come free are kept for it.
// There is one such reservation at a time, and fairness decides whose.
package runqueue
