package mount

import (
	"hash/maphash"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"anyloop/core/sys"
)

// cache keeps small files with their answers. Readers take no lock and write
// nothing that other threads read often; memory is bounded by bytes and by files.
type cache struct {
	bytesMax, filesMax int
	seed               maphash.Seed
	slots              []atomic.Pointer[[]*cached] // by hash; a list is replaced, never changed

	mu    sync.Mutex
	bytes int
	ring  []*cached // all of them
	hand  int       // where the search for one that nobody uses goes on
}

// cached is a place in the cache. What stands there changes when the file does.
type cached struct {
	path   string // below the mount, as it was asked for
	a      accepts
	state  atomic.Pointer[believed]
	used   atomic.Bool // since the hand came by
	asking atomic.Bool // somebody is looking at the file
}

// believed is an entry and when the file was found to be like that. It does not
// change.
type believed struct {
	entry *entry
	since time.Time // of the thread's clock, before the look
}

// cacheSlots spreads the default number of files thinly.
const cacheSlots = 1024

// entryCost is about what a file in the cache costs besides its text, in bytes.
const entryCost = 1024

func (c *cache) init(bytes, files int) {
	c.bytesMax, c.filesMax = bytes, files
	if c.on() {
		c.seed = maphash.MakeSeed()
		c.slots = make([]atomic.Pointer[[]*cached], cacheSlots)
	}
}

func (c *cache) on() bool { return c.bytesMax > 0 && c.filesMax > 0 }

func (c *cache) slot(path []byte) *atomic.Pointer[[]*cached] {
	return &c.slots[maphash.Bytes(c.seed, path)%cacheSlots]
}

// find returns the place of a path, nil if it has none.
func (c *cache) find(path []byte, a accepts) *cached {
	if !c.on() {
		return nil
	}
	list := c.slot(path).Load()
	if list == nil {
		return nil
	}
	for _, it := range *list {
		if it.a == a && it.path == string(path) {
			if !it.used.Load() {
				it.used.Store(true)
			}
			return it
		}
	}
	return nil
}

func (e *entry) cost() int { return entryCost + e.whole.Size() }

// fits reports whether an entry may be kept.
func (c *cache) fits(path string, e *entry) bool {
	return c.on() && e.data != nil && e.cost()+len(path) <= c.bytesMax
}

// put keeps an entry that fits, or what replaces it, and makes room for it.
func (c *cache) put(path string, a accepts, b *believed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	it := c.find([]byte(path), a)
	if it != nil {
		old := it.state.Load()
		if old.since.After(b.since) {
			return // a slower worker began before one that has been here
		}
		c.bytes += b.entry.cost() - old.entry.cost()
		it.state.Store(b)
	} else {
		it = &cached{path: path, a: a}
		it.state.Store(b)
		c.bytes += b.entry.cost() + len(path)
		c.ring = append(c.ring, it)
		slot := c.slot([]byte(path))
		list := []*cached{it}
		if old := slot.Load(); old != nil {
			list = append(list, *old...)
		}
		slot.Store(&list)
	}
	for c.bytes > c.bytesMax || len(c.ring) > c.filesMax {
		c.evict(it)
	}
}

// evict takes out the next file that was not used since the hand came by, but not
// the one that was just put in.
func (c *cache) evict(but *cached) {
	for {
		c.hand %= len(c.ring)
		it := c.ring[c.hand]
		if it != but && !it.used.Swap(false) {
			c.remove(it, c.hand)
			return
		}
		c.hand++
	}
}

// forget takes a path out whose file is no more.
func (c *cache) forget(path string, a accepts) {
	if c.find([]byte(path), a) == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, it := range c.ring {
		if it.a == a && it.path == path {
			c.remove(it, i)
			return
		}
	}
}

func (c *cache) remove(it *cached, at int) {
	c.bytes -= it.state.Load().entry.cost() + len(it.path)
	last := len(c.ring) - 1
	c.ring[at], c.ring[last] = c.ring[last], nil
	c.ring = c.ring[:last]
	slot := c.slot([]byte(it.path))
	var list []*cached
	for _, other := range *slot.Load() {
		if other != it {
			list = append(list, other)
		}
	}
	slot.Store(&list)
}

// settledAfter is how old a file's time has to be for it to speak for the
// contents: younger, it may have been written to again within one tick of the file
// system's clock.
const settledAfter = 2 * time.Second

// unchanged reports whether the file is still what it was, as far as its name can
// tell. It blocks: for a worker.
func (t *tree) unchanged(b *believed) bool {
	e := b.entry
	if e.mtime.IsZero() || b.since.Sub(e.mtime) < settledAfter {
		return false
	}
	st, err := fs.Stat(t.fsys, e.openName())
	if err != nil || !sameFile(st, e.stat) {
		return false
	}
	if e.coding != "" {
		if st, err = fs.Stat(t.fsys, e.name); err != nil || !st.Mode().IsRegular() {
			return false
		}
	}
	if t.opt.NoPrecompressed {
		return true
	}
	for _, c := range codings {
		if e.coding == c.coding {
			continue
		}
		if _, err := fs.Stat(t.fsys, e.name+c.ext); (err == nil) != (e.near&c.bit != 0) {
			return false
		}
	}
	return true
}

// sameFile compares what is known of two files of one name.
func sameFile(a, b fs.FileInfo) bool {
	if a.Size() != b.Size() || a.Mode() != b.Mode() || !a.ModTime().Equal(b.ModTime()) {
		return false
	}
	// Files of the operating system have an identity, too.
	if id := sys.InfoID(a); id != (sys.FileID{}) {
		return id == sys.InfoID(b)
	}
	return !os.SameFile(a, a) || os.SameFile(a, b)
}
