package core_test

import (
	"errors"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// adopting is what brings a connection to a vhost, each on a vhost as anyVHost has.
var adopting = map[string]func(th *core.Thread, fd int, vh *core.VirtualHost) error{
	"AdoptSocket": func(th *core.Thread, fd int, vh *core.VirtualHost) error {
		_, err := th.AdoptSocket(fd, vh, "p", nil)
		return err
	},
	"AdoptRaw": func(th *core.Thread, fd int, vh *core.VirtualHost) error {
		_, err := th.AdoptRaw(fd, vh, "r", "p", nil)
		return err
	},
	"AdoptFile": func(th *core.Thread, fd int, vh *core.VirtualHost) error {
		_, err := th.AdoptFile(fd, vh, "f")
		return err
	},
	"AdoptStream": func(th *core.Thread, _ int, vh *core.VirtualHost) error {
		_, err := th.AdoptStream(nil, vh, "p")
		return err
	},
	"Dial": func(th *core.Thread, _ int, vh *core.VirtualHost) error {
		_, err := th.Dial(vh, core.Dial{URL: "ws://" + host + "/"})
		return err
	},
}

// anyVHost has a protocol of each kind.
func anyVHost() core.VHost {
	vh := httpVHost()
	vh.Protocols = append(vh.Protocols,
		core.Protocol{Name: "f", File: func(*core.Conn) core.FileHandler { return &sink{} }},
		core.Protocol{Name: "r", Raw: func(*core.Conn) core.RawHandler { return &rawEcho{} }})
	return vh
}

// refuses wants each of adopting to say so for vh, and to leave everything as it was.
func (w *world) refuses(vh *core.VirtualHost, want error) {
	w.t.Helper()
	for name, adopt := range adopting {
		w.k.Drive()
		fd, p := w.k.Pipe()
		watched, files := w.k.Watched(), w.k.Files()
		if err := adopt(w.eng.Thread(0), fd, vh); !errors.Is(err, want) {
			w.t.Errorf("%s: %v, want %v", name, err, want)
		}
		w.k.Drive()
		if w.k.Watched() != watched || w.k.Files() != files || p.Gone() {
			w.t.Errorf("%s: something was done with the descriptor", name)
		}
		if st := w.eng.Stats(); st.Conns != 0 || st.Dials != 0 {
			w.t.Errorf("%s: something was begun: %+v", name, st)
		}
		w.k.Close(fd)
	}
}

// TestNothingIsAdoptedToNoVHost: nil is what Engine.VHost returns for a name that no
// vhost has.
func TestNothingIsAdoptedToNoVHost(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{anyVHost()}})
	w.refuses(w.eng.VHost("none of this name"), core.ErrNoVHost)
}

// TestNothingIsAdoptedToAnotherEnginesVHost: it would not wait for its conns, which end
// with an engine that does not know them.
func TestNothingIsAdoptedToAnotherEnginesVHost(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{anyVHost()}})
	other := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{anyVHost()}})
	w.refuses(other.eng.VHost("default"), core.ErrOtherEngine)
}

// TestAttachToNoBackend: nothing is done, and the engine can be attached afterwards.
func TestAttachToNoBackend(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	w.eng.Detach()
	func() {
		defer func() {
			if v := recover(); v != nil {
				t.Errorf("panic: %v", v)
			}
		}()
		if err := w.eng.Attach(nil); !errors.Is(err, core.ErrNoBackend) {
			t.Errorf("%v", err)
		}
	}()
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	p := w.ws()
	p.text("served")
	p.want(`text "served"`)
}
