package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// Users of clients with a part of their own.
const floodUser = "flood"

// gather starts the clients that are there before the load. It returns the tasks
// that some of them watch.
//
// Of ten clients, seven watch all of their user from now on, one a single task,
// and two come later: those are started by latecomers.
func (a *arena) gather() (watched []task) {
	for n := range a.config.clients {
		if n%10 >= 8 {
			continue
		}
		w := wish{user: userName(n % a.config.users), since: "now"}
		if n%10 == 7 {
			t := task{user: w.user, id: fmt.Sprint("watched-", n), name: "progress",
				input: map[string]any{"steps": 40, "step_ms": 150}}
			watched, w.task = append(watched, t), t.id
		}
		a.watch(fmt.Sprint("client-", n), n+n/a.config.users, w)
	}
	if a.plans("slow-readers") {
		for n := range a.config.slow + 4 {
			w := a.watch(fmt.Sprint("flooded-", n), n, wish{user: floodUser, since: "now"})
			if n < a.config.slow {
				a.slow = append(a.slow, w)
			}
		}
	}
	return watched
}

// latecomers starts the clients that come with a fault of the plan: half want
// all there is, half what is younger than a moment ago.
func (a *arena) latecomers(with int) {
	steps := len(a.config.plan) + 1
	for n := range a.config.clients {
		if n%10 < 8 || (n/10)%steps != with {
			continue
		}
		w := wish{user: userName(n % a.config.users), since: "earliest"}
		if n%10 == 9 {
			w.from = time.Now().Add(-time.Second).UTC().Truncate(time.Millisecond)
			w.since = w.from.Format("2006-01-02T15:04:05.000Z")
		}
		a.watch(fmt.Sprint("latecomer-", n), n+n/a.config.users, w)
	}
}

// watch starts a client; the number decides its transport.
func (a *arena) watch(name string, number int, what wish) *watcher {
	via := a.config.vias[number%len(a.config.vias)]
	w := &watcher{
		wish: what, name: name, via: via, open: transports()[via], dial: new(net.Dialer).DialContext, arena: a, seed: a.seed,
		closes: map[int]int{},
		random: rand.New(rand.NewPCG(a.config.seed, uint64(1000+len(a.watchers)))),
	}
	a.watchers = append(a.watchers, w)
	if what.user == floodUser {
		w.dial = smallDial
	}
	if via == viaSDK {
		a.clients.Go(func() { w.runSDK(a.ctx) })
	} else {
		a.clients.Go(func() { w.run(a.ctx) })
	}
	return w
}
