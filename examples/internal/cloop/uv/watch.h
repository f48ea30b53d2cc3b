#include <stdint.h>
#include <uv.h>

// Go is known by a number (cgo.Handle). Masks are those of poll(2).

typedef struct uvWatcher uvWatcher;
typedef struct uvTimer uvTimer;

// uvWatcherNew returns 0 or an error of libuv.
int uvWatcherNew(uv_loop_t *loop, int fd, uintptr_t go, uvWatcher **made);
void uvWatcherSet(uvWatcher *w, int mask);
void uvWatcherClose(uvWatcher *w);

uvTimer *uvTimerNew(uv_loop_t *loop, uintptr_t go);
void uvTimerSet(uvTimer *t, uint64_t ns);
void uvTimerStop(uvTimer *t);
void uvTimerClose(uvTimer *t);

// uvHandles counts the handles of a loop, those being closed too.
int uvHandles(uv_loop_t *loop);

// uvLive counts the watchers and timers whose memory is not freed.
long uvLive(void);
