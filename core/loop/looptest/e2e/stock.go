package e2e

import (
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// stock is what the process has: goroutines, and open descriptors where the
// system lists them.
type stock struct {
	goroutines int
	files      []string
}

// warm makes what the standard library keeps for good, such as its own poller.
var warm = sync.OnceFunc(func() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
	}
	l.Close()
})

func takeStock() stock {
	warm()
	return stock{runtime.NumGoroutine(), openFiles()}
}

// settledStock is takeStock once nothing of what came before is on its way out any
// more: a goroutine counted while it ends would hide one that is left behind.
func settledStock() stock {
	was := takeStock()
	for quiet := 0; quiet < 5; quiet++ {
		pause()
		if is := takeStock(); is.goroutines < was.goroutines || len(is.files) < len(was.files) {
			was, quiet = is, -1
		}
	}
	return was
}

// openFiles lists the open descriptors by number and kind.
func openFiles() []string {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	all := map[string]bool{}
	for _, e := range dir {
		// The descriptor of this listing itself is gone by now.
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			all[e.Name()+" "+to] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// compare waits, at most for bound, until the process has what it had, and no more.
func (was stock) compare(t testing.TB, bound time.Duration) {
	t.Helper()
	end := time.Now().Add(bound)
	for {
		is := takeStock()
		if is.goroutines <= was.goroutines && len(is.files) <= len(was.files) {
			return
		}
		if time.Now().After(end) {
			t.Errorf("left behind: %d goroutines, descriptors %v\n%s", is.goroutines-was.goroutines, without(is.files, was.files), stacks())
			return
		}
		pause()
	}
}

func without(all, known []string) (left []string) {
	for _, f := range all {
		if !slices.Contains(known, f) {
			left = append(left, f)
		}
	}
	return left
}

// stacks is what every goroutine does, for reports of hangs.
func stacks() string {
	b := make([]byte, 1<<18)
	return fmt.Sprintf("goroutines:\n%s", b[:runtime.Stack(b, true)])
}

// heap returns the bytes that live objects take.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools have given up
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
