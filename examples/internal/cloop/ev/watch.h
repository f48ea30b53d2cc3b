#include <stdint.h>
#include <ev.h>

// Go is known by a number (cgo.Handle). Masks are those of poll(2).

typedef struct evWatcher evWatcher;
typedef struct evTimer evTimer;

evWatcher *evWatcherNew(struct ev_loop *loop, int fd, uintptr_t go);
void evWatcherSet(evWatcher *w, int mask);
void evWatcherClose(evWatcher *w);

evTimer *evTimerNew(struct ev_loop *loop, uintptr_t go);
void evTimerSet(evTimer *t, int64_t ns);
void evTimerStop(evTimer *t);
void evTimerClose(evTimer *t);

// evActive counts the active watchers of a loop, outside of its turns. It calls
// nobody back: what it finds ready waits for the next turn.
int evActive(struct ev_loop *loop);

// evLive counts the watchers and timers whose memory is not freed.
long evLive(void);
