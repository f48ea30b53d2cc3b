//go:build foreignloops && cgo && linux

#include "watch.h"
#include "_cgo_export.h"

#include <poll.h>
#include <stdlib.h>

static long live; // one thread at a time uses libuv here

struct uvWatcher {
	uv_poll_t poll;
	uintptr_t go;
	int mask;
};

static void ready(uv_poll_t *p, int status, int events) {
	uvWatcher *w = p->data;
	int mask = 0;
	if (events & UV_READABLE) mask |= POLLIN;
	if (events & UV_WRITABLE) mask |= POLLOUT;
	if (status < 0) {
		mask |= POLLERR | POLLHUP;
		uvWatcherSet(w, w->mask); // libuv has stopped it
	}
	goUVReady(w->go, mask); // w may be gone when this returns
}

int uvWatcherNew(uv_loop_t *loop, int fd, uintptr_t go, uvWatcher **made) {
	uvWatcher *w = calloc(1, sizeof *w);
	if (w == NULL) return UV_ENOMEM;
	int err = uv_poll_init(loop, &w->poll, fd);
	if (err != 0) {
		free(w);
		return err;
	}
	w->poll.data = w;
	w->go = go;
	live++;
	*made = w;
	return 0;
}

// uvWatcherSet cannot fail: uv_poll_start refuses only a descriptor that another
// active handle has, which uv_poll_init would have said.
void uvWatcherSet(uvWatcher *w, int mask) {
	int events = 0;
	if (mask & POLLIN) events |= UV_READABLE;
	if (mask & POLLOUT) events |= UV_WRITABLE;
	w->mask = mask;
	if (events == 0)
		uv_poll_stop(&w->poll);
	else
		uv_poll_start(&w->poll, events, ready);
}

static void watcherClosed(uv_handle_t *h) {
	free(h->data);
	live--;
}

// uv_close stops the handle before it returns; only its memory stays.
void uvWatcherClose(uvWatcher *w) { uv_close((uv_handle_t *)&w->poll, watcherClosed); }

struct uvTimer {
	uv_timer_t timer;
	uv_idle_t idle;
	uintptr_t go;
	int open; // handles that are not closed
};

static void fire(uvTimer *t) {
	uvTimerStop(t);
	goUVFire(t->go); // t may be closing when this returns
}
static void timerFired(uv_timer_t *h) { fire(h->data); }
static void idleRuns(uv_idle_t *h) { fire(h->data); }

uvTimer *uvTimerNew(uv_loop_t *loop, uintptr_t go) {
	uvTimer *t = calloc(1, sizeof *t);
	if (t == NULL) abort();
	uv_timer_init(loop, &t->timer);
	uv_idle_init(loop, &t->idle);
	t->timer.data = t->idle.data = t;
	t->go = go;
	t->open = 2;
	live++;
	return t;
}

// A uv_timer_t fires when the loop's time, which is never ahead of the clock,
// has come to its own; so it is set for the first whole millisecond after ns.
void uvTimerSet(uvTimer *t, uint64_t ns) {
	uvTimerStop(t);
	if (ns == 0) {
		uv_idle_start(&t->idle, idleRuns);
		return;
	}
	uv_loop_t *loop = t->timer.loop;
	uv_update_time(loop);
	uint64_t at = (uv_hrtime() + ns + 999999) / 1000000;
	uv_timer_start(&t->timer, timerFired, at - uv_now(loop), 0);
}

void uvTimerStop(uvTimer *t) {
	uv_idle_stop(&t->idle);
	uv_timer_stop(&t->timer);
}

static void timerClosed(uv_handle_t *h) {
	uvTimer *t = h->data;
	if (--t->open > 0) return;
	free(t);
	live--;
}

void uvTimerClose(uvTimer *t) {
	uv_close((uv_handle_t *)&t->timer, timerClosed);
	uv_close((uv_handle_t *)&t->idle, timerClosed);
}

static void count(uv_handle_t *h, void *n) { ++*(int *)n; }

int uvHandles(uv_loop_t *loop) {
	int n = 0;
	uv_walk(loop, count, &n);
	return n;
}

long uvLive(void) { return live; }
