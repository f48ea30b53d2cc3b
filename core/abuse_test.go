package core_test

import (
	"fmt"
	"io"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/mount"
	"anyloop/core/ws"
)

// TestTenThousandConnectsAndAborts: at every stage of a connection.
func TestTenThousandConnectsAndAborts(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	full := handshake + "\r\n" + string(frame(ws.Text, true, "hello")) + string(frame(ws.Ping, true, "x"))
	for i := range 10_000 {
		p := w.dial()
		p.WriteString(full[:i%(len(full)+1)])
		if i%3 > 0 {
			w.k.Drive()
		}
		switch i % 4 {
		case 0:
			p.Reset()
		case 1:
			p.Close()
		case 2:
			p.CloseWrite()
		case 3:
			w.k.Drive()
			p.Close()
		}
		if i%100 == 0 {
			w.k.Drive()
		}
	}
	w.k.Advance(20 * time.Second)
	if st := w.eng.Stats(); st.Accepted != 10_000 || st.Conns != 0 || st.Headers != 0 {
		t.Errorf("left: %+v", st)
	}
}

func TestByteAtATimeSender(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.dial()
	for _, b := range []byte(handshake + "\r\n") {
		p.Write([]byte{b})
		w.k.Drive()
	}
	p.buf = p.Read()
	if !strings.HasPrefix(string(p.buf), "HTTP/1.1 101") {
		t.Fatalf("%q", p.buf)
	}
	p.buf = nil
	for _, b := range frame(ws.Text, true, strings.Repeat("héllo", 50)) {
		p.Write([]byte{b})
		w.k.Drive()
	}
	p.want("text [300]")
}

// TestOneByteWires: every read and write of the server moves one byte.
func TestOneByteWires(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.dial()
	p.SetReadSize(1)
	p.SetWriteSize(1)
	p.WriteString("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n" + handshake + "\r\n")
	p.text("x")
	got := p.answer()
	for _, want := range []string{"GET /a", "GET /b", "HTTP/1.1 101", "\x81\x01x"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// heap returns what is live, in bytes, when no collection frees any more: pools,
// finalizers and goroutines of earlier tests let go of theirs one after the other.
func heap() int64 {
	var m runtime.MemStats
	for last := int64(math.MaxInt64); ; {
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		n := int64(m.HeapAlloc)
		if last-n < 1<<10 {
			return n
		}
		last = n
	}
}

// TestFloodsStayWithinTheConfiguredMemory measures what floods of headers, Pings
// and slow senders keep on the heap: the pool of header tables, and nothing per
// peer beyond the connection itself.
func TestFloodsStayWithinTheConfiguredMemory(t *testing.T) {
	const peers, tables = 500, 16
	w := newWorld(t, sim.Options{Capacity: 16 << 10}, core.Config{Limits: core.Limits{HeaderPool: tables}, VHosts: []core.VHost{httpVHost()}})
	var ps []*peer
	for range peers {
		ps = append(ps, w.dial())
	}
	w.k.Drive()
	before := heap()
	// Slowloris: everybody sends half a header.
	for _, p := range ps {
		p.WriteString("GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 3000))
		w.k.Drive()
	}
	if n := w.eng.Stats().Headers; n != tables {
		t.Errorf("%d header tables in use", n)
	}
	// What a waiting peer has sent is kept once, at its exact size; the wires
	// of the simulator keep the rest.
	grown := heap() - before
	if limit := int64(peers*(3100+600) + tables*(2*4096+2048)); grown > limit {
		t.Errorf("half headers of %d peers keep %d bytes, more than %d", peers, grown, limit)
	}
	w.k.Advance(time.Minute)
	if st := w.eng.Stats(); st.Conns != 0 {
		t.Errorf("%d slow senders are still there", st.Conns)
	}
	// Pings to a peer that does not read: one Pong is kept.
	p := w.ws()
	p.Stall(true)
	before = heap()
	for i := range 200_000 {
		p.ping(fmt.Sprint(i))
		if i%50 == 0 {
			w.k.Drive()
		}
	}
	w.k.Drive()
	if grown := heap() - before; grown > 128<<10 {
		t.Errorf("a flood of Pings keeps %d bytes", grown)
	}
}

// giant is a file system with one file of 1 GiB, made up as it is read.
type giant struct{ reads *int64 }

const gib = 1 << 30

func (g giant) Open(name string) (fs.File, error) {
	if name != "giant.bin" {
		return nil, fs.ErrNotExist
	}
	return &giantFile{g: g}, nil
}

type giantFile struct {
	g   giant
	pos int64
}

func (f *giantFile) Stat() (fs.FileInfo, error) { return giantInfo{}, nil }
func (f *giantFile) Close() error               { return nil }
func (f *giantFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}
func (f *giantFile) ReadAt(p []byte, off int64) (int, error) {
	*f.g.reads += int64(len(p))
	n := int(min(int64(len(p)), gib-off))
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

type giantInfo struct{}

func (giantInfo) Name() string       { return "giant.bin" }
func (giantInfo) Size() int64        { return gib }
func (giantInfo) Mode() fs.FileMode  { return 0o444 }
func (giantInfo) ModTime() time.Time { return time.Unix(1e9, 0) }
func (giantInfo) IsDir() bool        { return false }
func (giantInfo) Sys() any           { return nil }

// TestGiantFileToAStalledClient: one chunk is read, and kept, not the file; at
// ContentTimeout the client is cut off.
func TestGiantFileToAStalledClient(t *testing.T) {
	reads := int64(0)
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Mounts: []core.Mount{mount.Files("/", giant{&reads})}}}})
	p := w.dial()
	p.Stall(true)
	p.WriteString("GET /giant.bin HTTP/1.1\r\nHost: h\r\n\r\n")
	before := heap()
	w.until("the wire is full", func() bool { return w.eng.Stats().Chokes > 0 })
	for range 1000 { // more of the file must not be read now
		w.k.Drive()
		runtime.Gosched()
	}
	if p.Received() != 0 || reads == 0 || reads > 4*64<<10 {
		t.Errorf("%d bytes of the file were read for a client that reads nothing", reads)
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes are kept for it", grown)
	}
	if p.Gone() {
		t.Fatal("gone early")
	}
	w.k.Advance(15 * time.Second)
	if !p.Gone() {
		t.Error("a client that reads nothing for ContentTimeout is still there")
	}
}

func TestSilentPeersGoByTheirLimits(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	for range 1000 {
		w.dial()
		w.ws()
	}
	w.k.Advance(15 * time.Second)
	if n := w.eng.Stats().Conns; n != 1000 {
		t.Errorf("%d connections after HandshakeTimeout, the WebSockets are 1000", n)
	}
	w.k.Advance(35 * time.Second)
	if n := w.eng.Stats().Conns; n != 0 {
		t.Errorf("%d connections after PongTimeout", n)
	}
}
