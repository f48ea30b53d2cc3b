//go:build linux

package millionbench

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/loop/sim"
)

// live returns the bytes of live objects.
func live() int64 {
	var m runtime.MemStats
	debug.FreeOSMemory() // also a collection
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// aloneCost is what a connection takes of the simulated kernel: both descriptors'
// worth and the peer, without core.
func aloneCost(n int) float64 {
	before := live()
	k := sim.New(sim.Options{})
	peers := make([]*sim.Peer, n)
	for i := range peers {
		_, peers[i] = k.Pipe()
	}
	cost := float64(live()-before) / float64(n)
	runtime.KeepAlive(k)
	return cost
}

// collector is what the garbage collector has done so far.
type collector struct {
	gc, all float64 // CPU seconds
	cycles  int
	objects uint64 // allocated
	pauses  *metrics.Float64Histogram
}

// used is that of a while.
type used struct {
	collector
	longest time.Duration // pause; the bound of its class in the runtime's histogram
}

func collectorNow() collector {
	s := []metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/cpu/classes/total:cpu-seconds"},
		{Name: "/cpu/classes/idle:cpu-seconds"},
		{Name: "/gc/heap/allocs:objects"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/sched/pauses/total/gc:seconds"},
	}
	metrics.Read(s)
	h := s[5].Value.Float64Histogram()
	return collector{
		gc: s[0].Value.Float64(), all: s[1].Value.Float64() - s[2].Value.Float64(),
		objects: s[3].Value.Uint64(), cycles: int(s[4].Value.Uint64()),
		pauses: &metrics.Float64Histogram{Counts: append([]uint64(nil), h.Counts...), Buckets: h.Buckets},
	}
}

func (c collector) since(o collector) (u used) {
	u.gc, u.all, u.cycles, u.objects = c.gc-o.gc, c.all-o.all, c.cycles-o.cycles, c.objects-o.objects
	for i, n := range c.pauses.Counts {
		if n > o.pauses.Counts[i] {
			bound := c.pauses.Buckets[i+1]
			if math.IsInf(bound, 1) {
				bound = c.pauses.Buckets[i]
			}
			u.longest = time.Duration(bound * 1e9)
		}
	}
	u.longest = u.longest.Round(100 * time.Nanosecond)
	return u
}

// share is the collector's part of the CPU time that was used, as the runtime
// reckons it: at the end of each collection, and in time on its processors, so that
// what else runs on the machine counts for both.
func (u used) share() float64 {
	if u.cycles == 0 || u.all <= 0 {
		return 0
	}
	return u.gc / u.all
}

// printCollection measures collections of the heap as it is, while nothing happens.
func printCollection(w io.Writer, conns int) {
	const times = 3
	before, cpu := collectorNow(), cpuTime()
	began := time.Now()
	for range times {
		runtime.GC()
	}
	took := time.Since(began) / times
	cpu = (cpuTime() - cpu) / times
	u := collectorNow().since(before)
	s := []metrics.Sample{{Name: "/gc/scan/heap:bytes"}}
	metrics.Read(s)
	fmt.Fprintf(w, "  a collection of it        %v, %v of CPU time, longest pause %v\n", took.Round(time.Millisecond), cpu.Round(time.Millisecond), u.longest)
	fmt.Fprintf(w, "  of which it reads         %d bytes for each: both ends of a connection, at most a pointer in 8\n", s[0].Value.Uint64()/uint64(conns))
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// status returns a size of /proc/self/status in bytes, 0 if there is none.
func status(name string) int {
	b, _ := os.ReadFile("/proc/self/status")
	for _, line := range bytes.Split(b, []byte("\n")) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			var kb int
			fmt.Sscan(string(rest), &kb)
			return kb << 10
		}
	}
	return 0
}
