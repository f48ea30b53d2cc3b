package looptest_test

import (
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"anyloop/core/loop/looptest"
	"anyloop/loops/poll"
)

// mockModes are the ways of engines that the stream suite runs over.
var mockModes = map[string]looptest.MockMode{
	"plain":                     {},
	"small mark":                {Mark: 1000},
	"overwrites":                {Overwrites: true},
	"holds":                     {Holds: true, Piece: 4000},
	"at once":                   {Inside: true},
	"holds and reports at once": {Holds: true, Inside: true},
	"closes late":               {Late: 20},
	"feeds late":                {LateFeeds: 5},
	"needless room":             {Spurious: true},
	"no end":                    {NoEOF: true, NoCloseWrite: true},
	"small pieces":              {Piece: 700},
	"cannot pause":              {NoPause: true},
	"holds and steals":          {Holds: true, Inside: true, StealAt: 300 << 10},
	"steals":                    {StealAt: 300 << 10},
}

// TestStreamsOverMock leaves as many descriptors and goroutines as there were.
func TestStreamsOverMock(t *testing.T) {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // Go's own poller has its descriptors from then on
	}
	fds, routines := stock()
	t.Cleanup(func() {
		for end := time.Now().Add(looptest.Bound); (runtime.NumGoroutine() > routines || openFiles() != fds) && time.Now().Before(end); {
			runtime.Gosched() // those that have told their end already
		}
		if n := runtime.NumGoroutine(); n > routines {
			t.Errorf("%d goroutines, before %d", n, routines)
		}
		if n := openFiles(); n != fds {
			t.Errorf("%d descriptors, before %d", n, fds)
		}
	})
	for name, mode := range mockModes {
		t.Run(name, func(t *testing.T) {
			looptest.RunStreams(t, func(testing.TB) looptest.StreamHost { return mockHost(mode) })
		})
	}
}

// stock counts descriptors and goroutines when nothing of the tests before is on its
// way out any more.
func stock() (fds, routines int) {
	fds, routines = openFiles(), runtime.NumGoroutine()
	for quiet := 0; quiet < 500; quiet++ {
		runtime.Gosched()
		if f, r := openFiles(), runtime.NumGoroutine(); f < fds || r < routines {
			fds, routines, quiet = f, r, -1
		}
	}
	return fds, routines
}

// openFiles returns the number of open descriptors, 0 where the system does not
// say.
func openFiles() int {
	all, _ := os.ReadDir("/proc/self/fd")
	return len(all)
}

// mockHost is a mock engine beside a nested loop.
func mockHost(mode looptest.MockMode) looptest.StreamHost {
	inner := poll.Backend(poll.Nested())
	return looptest.MockHost(mode, inner, func() looptest.Nested { return inner.Thread(0) })
}
