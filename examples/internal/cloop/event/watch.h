#include <stdint.h>
#include <event2/event.h>

// Go is known by a number (cgo.Handle). Masks are those of poll(2).

typedef struct eventWatcher eventWatcher;
typedef struct eventTimer eventTimer;

eventWatcher *eventWatcherNew(struct event_base *base, int fd, uintptr_t go);
// eventWatcherSet returns 0, or -1 if the kernel cannot watch the descriptor.
int eventWatcherSet(eventWatcher *w, int mask);
void eventWatcherClose(eventWatcher *w);

eventTimer *eventTimerNew(struct event_base *base, uintptr_t go);
void eventTimerSet(eventTimer *t, int64_t ns);
void eventTimerStop(eventTimer *t);
void eventTimerClose(eventTimer *t);

// eventLive counts the watchers and timers whose memory is not freed.
long eventLive(void);
