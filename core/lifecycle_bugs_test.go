package core_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// A conn that one vhost was given and another's RawOnly serves holds up the Destroy of
// the latter, and not that of the former, which once never came.
func TestAConnCountsWhereItIsServed(t *testing.T) {
	var order []string
	rec := &lastWords{&rawEcho{}, func() { order = append(order, "Closed") }}
	vhost := func(name string) core.VHost {
		return core.VHost{Name: name, Protocols: []core.Protocol{{Name: "r",
			Raw:     func(*core.Conn) core.RawHandler { return rec },
			Destroy: func(*core.VirtualHost) { order = append(order, name) }}}}
	}
	first, second := vhost("first"), vhost("second")
	first.RawOnly = "r"
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{first, second}})
	w.k.Drive()
	fd, p := w.k.Pipe()
	if _, err := w.eng.Thread(0).AdoptSocket(fd, w.eng.VHost("second"), "p", nil); err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	w.eng.VHost("second").Remove()
	w.k.Drive()
	w.eng.VHost("first").Remove()
	w.k.Drive()
	p.Close()
	w.k.Advance(time.Minute)
	if want := []string{"second", "Closed", "first"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

// lastWords is a raw handler with a Closed.
type lastWords struct {
	*rawEcho
	closed func()
}

func (l *lastWords) Closed(*core.Conn, error) { l.closed() }

// AdoptFile makes no handler of a protocol whose Init has failed, and none before
// Init.
func TestAdoptFileComesAfterInit(t *testing.T) {
	inits := 0
	good := func(*core.VirtualHost) error { inits++; return nil }
	bad := func(*core.VirtualHost) error { inits++; return errors.New("no") }
	file := func(*core.Conn) core.FileHandler {
		if inits != 2 {
			t.Errorf("a handler is made after %d Init", inits)
		}
		return &sink{}
	}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{
		{Name: "good", Init: good, File: file}, {Name: "bad", Init: bad, File: file}}}}})
	adopt := func(protocol string) error {
		fd, p := w.k.Pipe()
		_, err := w.eng.Thread(0).AdoptFile(fd, w.eng.VHost("default"), protocol)
		if p.Close(); err != nil {
			w.k.Close(fd)
		}
		return err
	}
	if err := adopt("good"); err != nil {
		t.Error(err)
	}
	if err := adopt("bad"); !errors.Is(err, core.ErrUnknownProtocol) {
		t.Errorf("a protocol that is disabled: %v", err)
	}
}

// FilterConn is not asked about a client whose vhosts have all gone: there is none to
// name.
func TestFilterConnAlwaysHasAVHost(t *testing.T) {
	asked := 0
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()},
		FilterConn: func(vh *core.VirtualHost, _ string) bool {
			asked++
			vh.Remove()
			return true
		}})
	p, q := w.dial(), w.dial()
	w.k.Drive()
	if asked != 1 || !p.Gone() || !q.Gone() {
		t.Errorf("asked %d times; the clients are gone: %v, %v", asked, p.Gone(), q.Gone())
	}
	if s := w.log.String(); strings.Contains(s, "panic") {
		t.Error(s)
	}
}

// An Init may adopt files on any thread of its goroutine's, also if AdoptFile has had
// it run.
func TestInitAdoptsAFile(t *testing.T) {
	var w *world
	var files []*sim.Peer
	adopt := func(thread int) {
		fd, p := w.k.Pipe()
		files = append(files, p)
		if _, err := w.eng.Thread(thread).AdoptFile(fd, w.eng.VHost("default"), "f"); err != nil {
			t.Error(err)
		}
	}
	w = newWorld(t, sim.Options{}, core.Config{Threads: 2, VHosts: []core.VHost{{Protocols: []core.Protocol{{Name: "f",
		Init: func(*core.VirtualHost) error { adopt(1); return nil },
		File: func(*core.Conn) core.FileHandler { return &sink{} }}}}}})
	adopt(0)
	w.k.Drive()
	for _, p := range files {
		p.Close()
	}
	w.k.Drive()
	if len(files) != 2 || !files[0].Gone() || !files[1].Gone() {
		t.Errorf("%d files", len(files))
	}
}

// Destroy comes behind the sockets also at the engine's end, when they have not come
// to the thread that was to listen: it was detached, and much is posted to it.
func TestDestroyAfterSocketsThatNeverArrived(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Threads: 2, Limits: core.Limits{PostBatch: 1}, VHosts: []core.VHost{httpVHost()}})
	w.k.Drive()
	w.eng.Detach()
	for range 5 {
		w.eng.Thread(0).Post(func() {})
	}
	const addr = "10.9.9.9:80"
	destroyed := 0
	late := core.VHost{Name: "late", Addr: addr, Protocols: []core.Protocol{{Name: "t", HTTP: httpVHost().Protocols[0].HTTP,
		Destroy: func(*core.VirtualHost) {
			destroyed++
			fd, _, err := w.k.Listen("tcp", addr)
			if err != nil {
				t.Errorf("in Destroy: %v", err)
				return
			}
			w.k.Close(fd)
		}}}}
	if _, err := w.eng.AddVHost(late); err != nil {
		t.Fatal(err)
	}
	w.eng.Stop(-1)
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	select {
	case <-w.eng.Done():
	default:
		t.Error("the engine has not ended")
	}
	if s := w.log.String(); destroyed != 1 || strings.Contains(s, "lost") {
		t.Errorf("%d Destroy; the log: %s", destroyed, s)
	}
}

// goner detaches its thread when it is readable, ends, and attaches it in its Closed.
type goner struct{ w *world }

func (h *goner) Readable(c *core.Conn, _ *core.File) error {
	c.Thread().Detach()
	return core.ErrDrop
}
func (*goner) Writable(*core.Conn, *core.File) error { return nil }
func (h *goner) Closed(*core.Conn, error) {
	if err := h.w.eng.Attach(h.w.k); err != nil {
		h.w.t.Error(err)
	}
}

// The next loop is not told of a descriptor that is about to be closed.
func TestAttachInClosedLeavesTheDeadAlone(t *testing.T) {
	var w *world
	vh := httpVHost()
	vh.Protocols = append(vh.Protocols, core.Protocol{Name: "f", File: func(*core.Conn) core.FileHandler { return &goner{w} }})
	w = newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	w.k.Drive()
	fd, p := w.k.Pipe()
	if _, err := w.eng.Thread(0).AdoptFile(fd, w.eng.VHost("default"), "f"); err != nil {
		t.Fatal(err)
	}
	p.WriteString("x")
	w.k.Drive()
	if !w.eng.Thread(0).Hosted() || !p.Gone() {
		t.Errorf("attached: %v; the file is closed: %v", w.eng.Thread(0).Hosted(), p.Gone())
	}
	if st := w.eng.Stats(); st.Adds-st.Dels != uint64(w.k.Watched()) {
		t.Errorf("%d Adds, %d Dels, %d are watched", st.Adds, st.Dels, w.k.Watched())
	}
	if v := w.k.Violations(); len(v) > 0 {
		t.Error(v)
	}
}

// A vhost that cannot be brought up takes nothing while it is destroyed.
func TestAVHostThatFailsTakesNothing(t *testing.T) {
	k := &refusing{Kernel: sim.New(sim.Options{})}
	eng, err := core.New(core.Config{Backend: k, VHosts: []core.VHost{httpVHost()}})
	if err != nil {
		t.Fatal(err)
	}
	k.Drive()
	destroyed := false
	late := core.VHost{Name: "late", Addr: "late:80", Protocols: []core.Protocol{{Name: "f",
		File: func(*core.Conn) core.FileHandler { return &sink{} },
		Destroy: func(vh *core.VirtualHost) {
			k.add, destroyed = nil, true
			fd, p := k.Pipe()
			if _, err := eng.Thread(0).AdoptFile(fd, vh, "f"); !errors.Is(err, core.ErrStopped) {
				t.Errorf("in Destroy: %v", err)
			}
			k.Close(fd)
			p.Close()
		}}}}
	k.add = errors.New("no room")
	if _, err := eng.AddVHost(late); err == nil || !destroyed {
		t.Errorf("%v; destroyed: %v", err, destroyed)
	}
	eng.Stop(-1)
	k.Drive()
	select {
	case <-eng.Done():
	default:
		t.Error("the engine has not ended")
	}
}
