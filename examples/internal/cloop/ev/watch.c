//go:build foreignloops && cgo && linux

#include "watch.h"
#include "_cgo_export.h"

#include <poll.h>
#include <stdlib.h>

static long live; // one thread at a time uses libev here

struct evWatcher {
	ev_io io;
	struct ev_loop *loop;
	uintptr_t go;
	int mask;
};

static void ready(struct ev_loop *loop, ev_io *io, int events) {
	evWatcher *w = io->data;
	int mask = 0;
	if (events & EV_READ) mask |= POLLIN;
	if (events & EV_WRITE) mask |= POLLOUT;
	if (events & EV_ERROR) {
		mask |= POLLERR | POLLHUP;
		evWatcherSet(w, w->mask); // libev has stopped it
	}
	goEvReady(w->go, mask); // w may be gone when this returns
}

evWatcher *evWatcherNew(struct ev_loop *loop, int fd, uintptr_t go) {
	evWatcher *w = calloc(1, sizeof *w);
	if (w == NULL) abort();
	ev_io_init(&w->io, ready, fd, 0);
	w->io.data = w;
	w->loop = loop;
	w->go = go;
	live++;
	return w;
}

void evWatcherSet(evWatcher *w, int mask) {
	int events = 0;
	if (mask & POLLIN) events |= EV_READ;
	if (mask & POLLOUT) events |= EV_WRITE;
	w->mask = mask;
	ev_io_stop(w->loop, &w->io);
	if (events == 0) return;
	ev_io_set(&w->io, w->io.fd, events);
	ev_io_start(w->loop, &w->io);
}

// ev_io_stop also takes back what was collected for the watcher in this turn.
void evWatcherClose(evWatcher *w) {
	ev_io_stop(w->loop, &w->io);
	free(w);
	live--;
}

struct evTimer {
	ev_timer timer;
	struct ev_loop *loop;
	uintptr_t go;
};

static void fired(struct ev_loop *loop, ev_timer *timer, int events) {
	evTimer *t = timer->data;
	goEvFire(t->go); // t may be gone when this returns
}

evTimer *evTimerNew(struct ev_loop *loop, uintptr_t go) {
	evTimer *t = calloc(1, sizeof *t);
	if (t == NULL) abort();
	ev_timer_init(&t->timer, fired, 0, 0);
	t->timer.data = t;
	t->loop = loop;
	t->go = go;
	live++;
	return t;
}

// The microsecond is for what a double loses of a time.
void evTimerSet(evTimer *t, int64_t ns) {
	double after = 0;
	ev_timer_stop(t->loop, &t->timer);
	if (ns > 0) {
		ev_now_update(t->loop);
		after = ns * 1e-9 + 1e-6;
	}
	ev_timer_set(&t->timer, after, 0);
	ev_timer_start(t->loop, &t->timer);
}

void evTimerStop(evTimer *t) { ev_timer_stop(t->loop, &t->timer); }

void evTimerClose(evTimer *t) {
	ev_timer_stop(t->loop, &t->timer);
	free(t);
	live--;
}

static void nobody(struct ev_loop *loop) {}

int evActive(struct ev_loop *loop) {
	ev_set_invoke_pending_cb(loop, nobody);
	int n = ev_run(loop, EVRUN_NOWAIT);
	ev_set_invoke_pending_cb(loop, ev_invoke_pending);
	return n;
}

long evLive(void) { return live; }
