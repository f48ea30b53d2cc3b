//go:build foreignloops && cgo && linux

#include "watch.h"
#include "_cgo_export.h"

static long live; // one thread at a time uses GLib here

static void finalized(GSource *s) { live--; }

struct glibWatcher {
	GSource source;
	gpointer tag;
	uintptr_t go;
};

static gboolean ready(GSource *s, GSourceFunc unused, gpointer data) {
	glibWatcher *w = (glibWatcher *)s;
	goGLibReady(w->go, g_source_query_unix_fd(s, w->tag));
	return G_SOURCE_CONTINUE; // of no effect if Go has closed it
}

static GSourceFuncs watcherFuncs = {.dispatch = ready, .finalize = finalized};

static GSource *source(GSourceFuncs *funcs, size_t size, int priority) {
	GSource *s = g_source_new(funcs, size);
	g_source_set_priority(s, priority);
	live++;
	return s;
}

glibWatcher *glibWatcherNew(GMainContext *context, int priority, int fd, int mask, uintptr_t go) {
	glibWatcher *w = (glibWatcher *)source(&watcherFuncs, sizeof *w, priority);
	w->go = go;
	w->tag = g_source_add_unix_fd(&w->source, fd, mask);
	g_source_attach(&w->source, context);
	return w;
}

void glibWatcherSet(glibWatcher *w, int mask) { g_source_modify_unix_fd(&w->source, w->tag, mask); }

void glibWatcherClose(glibWatcher *w) {
	g_source_destroy(&w->source);
	g_source_unref(&w->source);
}

struct glibTimer {
	GSource source;
	gint64 due; // by g_get_monotonic_time, in us; or one of:
	uintptr_t go;
};

enum { unset = -1, nextTurn = 0 };

static gboolean prepare(GSource *s, gint *ms) {
	glibTimer *t = (glibTimer *)s;
	*ms = -1;
	if (t->due == unset) return FALSE;
	gint64 left = t->due - g_get_monotonic_time();
	if (left <= 0) return TRUE;
	left = (left + 999) / 1000;
	*ms = MIN(left, G_MAXINT);
	return FALSE;
}

static gboolean check(GSource *s) {
	glibTimer *t = (glibTimer *)s;
	return t->due != unset && t->due <= g_get_monotonic_time();
}

static gboolean fired(GSource *s, GSourceFunc unused, gpointer data) {
	glibTimer *t = (glibTimer *)s;
	// A callback of this turn may have set it anew since check.
	if (!check(s)) return G_SOURCE_CONTINUE;
	t->due = unset;
	goGLibFire(t->go);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs timerFuncs = {prepare, check, fired, finalized};

glibTimer *glibTimerNew(GMainContext *context, int priority, uintptr_t go) {
	glibTimer *t = (glibTimer *)source(&timerFuncs, sizeof *t, priority);
	t->go = go;
	t->due = unset;
	g_source_attach(&t->source, context);
	return t;
}

// GLib's time is cut to whole microseconds: one more makes up for it.
void glibTimerSet(glibTimer *t, int64_t ns) {
	t->due = ns > 0 ? g_get_monotonic_time() + (ns + 999) / 1000 + 1 : nextTurn;
}

void glibTimerStop(glibTimer *t) { t->due = unset; }

void glibTimerClose(glibTimer *t) {
	g_source_destroy(&t->source);
	g_source_unref(&t->source);
}

// GLib has no count of sources, but numbers them upwards from 1, and finds them
// by number.
int glibSources(GMainContext *context) {
	GSource *probe = g_idle_source_new();
	guint last = g_source_attach(probe, context);
	g_source_destroy(probe);
	g_source_unref(probe);
	int n = 0;
	for (guint id = 1; id < last; id++)
		if (g_main_context_find_source_by_id(context, id) != NULL) n++;
	return n;
}

long glibLive(void) { return live; }
