//go:build linux

package millionbench

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
)

// origin is what one function has allocated that is live.
type origin struct {
	name           string
	bytes, objects float64 // per connection
}

// printOrigins takes n connections apart by what has allocated them.
func printOrigins(w io.Writer, n int) error {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	before := origins()
	c, err := newCrowd(n)
	runtime.MemProfileRate = rate
	if err != nil {
		return err
	}
	after := origins()
	runtime.KeepAlive(c)
	fmt.Fprintf(w, "what a WebSocket is made of (%d of them, live after a collection)\n", n)
	var all []origin
	for name, o := range after {
		b := before[name]
		o = origin{name, (o.bytes - b.bytes) / float64(n), (o.objects - b.objects) / float64(n)}
		if o.bytes >= 1 {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b origin) int { return int(b.bytes - a.bytes) })
	for _, o := range all {
		fmt.Fprintf(w, "  %6.1f bytes  %4.2f objects  %s\n", o.bytes, o.objects, o.name)
	}
	return nil
}

// origins sums up live objects by the functions that allocated them.
func origins() map[string]origin {
	runtime.GC()
	runtime.GC() // the profile is that of the last collection but one
	records := make([]runtime.MemProfileRecord, 0)
	for {
		n, ok := runtime.MemProfile(records, false)
		if ok {
			records = records[:n]
			break
		}
		records = make([]runtime.MemProfileRecord, n+100)
	}
	sum := map[string]origin{}
	for _, r := range records {
		name := place(r.Stack())
		o := sum[name]
		o.bytes += float64(r.InUseBytes())
		o.objects += float64(r.InUseObjects())
		sum[name] = o
	}
	return sum
}

// place names the innermost function of this module on a stack.
func place(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		if name, ok := strings.CutPrefix(f.Function, "anyloop/"); ok {
			return name
		}
		if !more {
			return "others"
		}
	}
}
