package mount

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"anyloop/core"
)

func entryOf(t testing.TB, n int) *entry {
	data := make([]byte, n)
	whole, err := core.Prepare(200, nil, data)
	if err != nil {
		t.Fatal(err)
	}
	return &entry{data: data, whole: whole, size: int64(n)}
}

// check holds the cache's books against what is in it.
func (c *cache) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	bytes, listed := 0, 0
	for _, it := range c.ring {
		bytes += it.state.Load().entry.cost() + len(it.path)
		if c.find([]byte(it.path), it.a) != it {
			t.Errorf("%q is not found", it.path)
		}
	}
	for i := range c.slots {
		if l := c.slots[i].Load(); l != nil {
			listed += len(*l)
		}
	}
	if bytes != c.bytes || bytes > c.bytesMax || len(c.ring) > c.filesMax || listed != len(c.ring) {
		t.Errorf("%d bytes in the books, %d in %d files, %d listed; bounds %d, %d", c.bytes, bytes, len(c.ring), listed, c.bytesMax, c.filesMax)
	}
}

// TestCacheBooks: threads put, find and forget files of all sizes; the bounds hold
// and the count is right.
func TestCacheBooks(t *testing.T) {
	var c cache
	c.init(200_000, 50)
	start := time.Now()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			for i := range 3000 {
				path, a := fmt.Sprint("/", rnd.IntN(100)), accepts(rnd.IntN(2))
				switch e := entryOf(t, rnd.IntN(smallFile)); rnd.IntN(4) {
				case 0:
					c.forget(path, a)
				case 1:
					if it := c.find([]byte(path), a); it != nil && it.path != path {
						t.Errorf("%s for %s", it.path, path)
					}
				default:
					if c.fits(path, e) {
						c.put(path, a, &believed{e, start.Add(time.Duration(i))})
					}
				}
			}
		}()
	}
	wg.Wait()
	c.check(t)
	if len(c.ring) == 0 {
		t.Error("nothing is left in it")
	}
	for _, it := range append([]*cached(nil), c.ring...) {
		c.forget(it.path, it.a)
	}
	if c.check(t); c.bytes != 0 {
		t.Errorf("%d bytes of nothing", c.bytes)
	}
}

// TestSlowWorkerDoesNotPutOldBack: of two looks the one that began later counts.
func TestSlowWorkerDoesNotPutOldBack(t *testing.T) {
	var c cache
	c.init(200_000, 50)
	start := time.Now()
	older, newer := entryOf(t, 1), entryOf(t, 2)
	c.put("/f", 0, &believed{newer, start.Add(1)})
	c.put("/f", 0, &believed{older, start})
	if got := c.find([]byte("/f"), 0).state.Load().entry; got != newer {
		t.Error("the older one is back")
	}
	c.check(t)
}

// TestGoneFileTakesNoMemory: nor does one that has grown too large.
func TestGoneFileTakesNoMemory(t *testing.T) {
	for name, data := range map[string][]byte{"gone": nil, "large": make([]byte, smallFile+1)} {
		files := fstest.MapFS{"f": &fstest.MapFile{Data: []byte("x"), ModTime: time.Unix(1, 0)}}
		tr := &tree{fsys: files}
		tr.cache.init(200_000, 50)
		w := wanted{path: "/f", name: "f", now: time.Unix(100, 0)}
		if res := tr.look(&w); res.entry == nil || tr.cache.bytes == 0 {
			t.Fatalf("%+v, %d bytes", res, tr.cache.bytes)
		}
		delete(files, "f")
		if data != nil {
			files["f"] = &fstest.MapFile{Data: data}
		}
		w.place.it = tr.cache.find([]byte("/f"), 0)
		w.place.b = w.place.it.state.Load()
		if res := tr.look(&w); (res.entry == nil) != (data == nil) || tr.cache.bytes != 0 {
			t.Errorf("%s: %+v, %d bytes", name, res, tr.cache.bytes)
		}
	}
}
