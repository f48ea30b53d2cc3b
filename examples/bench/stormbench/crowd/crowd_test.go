//go:build linux

package crowd

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHist: quantiles are within a step of the true ones, and merging is counting.
func TestHist(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var a, b Hist
	var all []int64
	for i := range 10_000 {
		v := int64(r.ExpFloat64() * float64(int64(1)<<r.IntN(40)))
		all = append(all, v)
		if i%3 == 0 {
			a.Add(v)
		} else {
			b.Add(v)
		}
	}
	a.Merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)]
		if got := a.Quantile(q); got < want || got > want+want/32 {
			t.Errorf("%v: %d, want %d", q, got, want)
		}
	}
	if a.Count() != len(all) {
		t.Errorf("%d counted", a.Count())
	}
	var none Hist
	if none.Quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
}

// TestIn: only messages of the span count, those due at its end not.
func TestIn(t *testing.T) {
	p := Paced{At: []int64{1, 2, 3, 4}, Took: []int64{10, 20, 30, 40}, Late: []int64{5, 6, 7, 8}}
	if took, late := p.In(Span{2, 4}); !slices.Equal(took, []int64{20, 30}) || !slices.Equal(late, []int64{6, 7}) {
		t.Errorf("%v, %v", took, late)
	}
}

// TestReceiveNotices: an answer that is another message is not taken, and Pings
// between answers are answered.
func TestReceiveNotices(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	p, buf, done := &client{fd: fds[0]}, make([]byte, 1000), 0
	p.ask, p.answer = frames(64, 300)
	_, other := frames(64, 301)
	feed := func(b string) error {
		unix.Write(fds[1], []byte(b))
		return p.receive(buf, func() { done++ })
	}
	right := string(p.answer)
	if err := feed(right + "\x89\x02hi" + right + right[:9]); err != nil || done != 2 {
		t.Errorf("%d answers, %v", done, err)
	}
	if n, _ := unix.Read(fds[1], buf); string(buf[:max(n, 0)]) != "\x8a\x82\x00\x00\x00\x00hi" {
		t.Errorf("a Ping was answered by %q", buf[:max(n, 0)])
	}
	if err := feed(string(other[9:])); err == nil || !strings.Contains(err.Error(), "not what was sent") {
		t.Errorf("another's answer: %v", err)
	}
}

// TestSilence: a server that says nothing is an error, after a while.
func TestSilence(t *testing.T) {
	c, err := newCrowd("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer c.end()
	if _, err := c.wait(0); err != nil {
		t.Error(err)
	}
	c.heard -= int64(patience + time.Second)
	if _, err := c.wait(0); err != errSilent {
		t.Error(err)
	}
}
