//go:build foreignloops && cgo && linux

#include "watch.h"
#include "_cgo_export.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

static long live; // one thread at a time uses libevent here

struct eventWatcher {
	struct event *event;
	struct event_base *base;
	uintptr_t go;
	int fd;
};

static void ready(evutil_socket_t fd, short events, void *arg) {
	eventWatcher *w = arg;
	int mask = 0;
	if (events & EV_READ) mask |= POLLIN;
	if (events & EV_WRITE) mask |= POLLOUT;
	goEventReady(w->go, mask); // w may be gone when this returns
}

eventWatcher *eventWatcherNew(struct event_base *base, int fd, uintptr_t go) {
	eventWatcher *w = calloc(1, sizeof *w);
	if (w == NULL) abort();
	w->event = event_new(base, fd, EV_PERSIST, ready, w);
	if (w->event == NULL) abort();
	w->base = base;
	w->go = go;
	w->fd = fd;
	live++;
	return w;
}

int eventWatcherSet(eventWatcher *w, int mask) {
	short events = 0;
	if (mask & POLLIN) events |= EV_READ;
	if (mask & POLLOUT) events |= EV_WRITE;
	event_del(w->event);
	if (events == 0) return 0;
	event_assign(w->event, w->base, w->fd, events | EV_PERSIST, ready, w);
	return event_add(w->event, NULL);
}

void eventWatcherClose(eventWatcher *w) {
	event_free(w->event);
	free(w);
	live--;
}

struct eventTimer {
	struct event *event;
	struct event_base *base;
	uintptr_t go;
};

static void fired(evutil_socket_t fd, short events, void *arg) {
	eventTimer *t = arg;
	goEventFire(t->go); // t may be gone when this returns
}

eventTimer *eventTimerNew(struct event_base *base, uintptr_t go) {
	eventTimer *t = calloc(1, sizeof *t);
	if (t == NULL) abort();
	t->event = event_new(base, -1, 0, fired, t);
	if (t->event == NULL) abort();
	t->base = base;
	t->go = go;
	live++;
	return t;
}

static int64_t clockNow(clockid_t id) {
	struct timespec ts;
	clock_gettime(id, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

// The coarse clock is read before libevent reads its own, which is therefore no
// earlier, be it coarse or precise: the timer is not early in either case.
void eventTimerSet(eventTimer *t, int64_t ns) {
	struct timeval tv = {0, 0};
	if (ns > 0) {
		int64_t at = clockNow(CLOCK_MONOTONIC) + ns;
		int64_t us = (at - clockNow(CLOCK_MONOTONIC_COARSE)) / 1000 + 2; // both ends are cut to whole ones
		tv.tv_sec = us / 1000000;
		tv.tv_usec = us % 1000000;
		event_base_update_cache_time(t->base);
	}
	event_add(t->event, &tv);
}

void eventTimerStop(eventTimer *t) { event_del(t->event); }

void eventTimerClose(eventTimer *t) {
	event_free(t->event);
	free(t);
	live--;
}

long eventLive(void) { return live; }
