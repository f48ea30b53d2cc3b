#include <stdint.h>
#include <glib.h>

// Go is known by a number (cgo.Handle). Masks are those of poll(2), which GLib's
// are too.

typedef struct glibWatcher glibWatcher;
typedef struct glibTimer glibTimer;

glibWatcher *glibWatcherNew(GMainContext *context, int priority, int fd, int mask, uintptr_t go);
void glibWatcherSet(glibWatcher *w, int mask);
void glibWatcherClose(glibWatcher *w);

glibTimer *glibTimerNew(GMainContext *context, int priority, uintptr_t go);
void glibTimerSet(glibTimer *t, int64_t ns);
void glibTimerStop(glibTimer *t);
void glibTimerClose(glibTimer *t);

// glibSources counts the sources of a context.
int glibSources(GMainContext *context);

// glibLive counts the watchers and timers that GLib has not finalized.
long glibLive(void);
