package poll_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/tlsio"
	"anyloop/loops/poll"
)

// selfSigned makes a server's certificate.
func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"poll.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsBench is bench over TLS: a session for each of the clients.
type tlsBench struct {
	*bench
	sessions []*tlsio.Session
	client   *tls.Config
}

// tlsEngine starts an echo engine that speaks TLS on addr.
func tlsEngine(t testing.TB, addr string, o core.TLS, lim core.Limits) *tlsBench {
	t.Helper()
	o.Config = &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
	back := poll.Backend(poll.Nested())
	eng, err := core.New(core.Config{Backend: back, Limits: lim, VHosts: []core.VHost{{Addr: addr, TLS: &o, Protocols: []core.Protocol{{
		Name: "echo", WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &tlsBench{bench: &bench{t: t, eng: eng, loop: back.Thread(0)}}
	b.client = &tls.Config{InsecureSkipVerify: true, MinVersion: o.MinVersion, MaxVersion: o.MaxVersion}
	t.Cleanup(b.stop)
	return b
}

func newTLSBench(t testing.TB, conns int, o core.TLS) *tlsBench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	lim := longLimits
	lim.AcceptBatch, lim.ShakeBatch = 10, -1
	b := tlsEngine(t, "unix:"+path, o, lim)
	for range conns {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
		if err != nil {
			t.Fatal(err)
		}
		b.clients = append(b.clients, fd)
		s := tlsio.Client(b.client, tlsio.Options{})
		b.sessions = append(b.sessions, s)
		b.shake(fd, s)
	}
	return b
}

// shake completes TLS and the opening handshake on fd.
func (b *tlsBench) shake(fd int, s *tlsio.Session) {
	b.t.Helper()
	for {
		out, step, err := s.Handshake(nil)
		if err != nil {
			b.t.Fatal(err)
		}
		if len(out) > 0 {
			b.send(fd, out)
			b.turnUntilQuiet()
		}
		if step == tlsio.Complete {
			break
		}
		b.feed(fd, s)
	}
	b.send(fd, b.sealed(s, []byte("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")))
	b.turnUntilQuiet()
	if got := b.opened(fd, s); !bytes.HasPrefix(got, []byte("HTTP/1.1 101")) {
		b.t.Fatalf("upgrade: %q", got)
	}
}

func (b *tlsBench) feed(fd int, s *tlsio.Session) {
	n := b.recv(fd)
	s.Feed(b.buf[:n])
	s.Release()
}

// sealed encrypts p.
func (b *tlsBench) sealed(s *tlsio.Session, p []byte) []byte {
	out, err := s.Write(nil, p)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// opened receives and decrypts.
func (b *tlsBench) opened(fd int, s *tlsio.Session) (got []byte) {
	b.feed(fd, s)
	p := make([]byte, 16<<10)
	for {
		_, n, err := s.Read(nil, p)
		got = append(got, p[:n]...)
		if err == tlsio.ErrAgain {
			return got
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// round is bench's over TLS: each message is a record of its own.
func (b *tlsBench) round(count int) {
	for i, fd := range b.clients {
		var all []byte
		for range count {
			all = append(all, b.sealed(b.sessions[i], message)...)
		}
		b.send(fd, all)
	}
	for served := 0; served < len(b.clients); {
		n, err := b.loop.Pass(0)
		if err != nil {
			b.t.Fatal(err)
		}
		served += n
	}
	for i, fd := range b.clients {
		if got := b.opened(fd, b.sessions[i]); !bytes.Equal(got, bytes.Repeat(echoed, count)) {
			b.t.Fatalf("%d bytes came back, want %d", len(got), count*len(echoed))
		}
	}
}

// TestSystemCallsPerMessageOverTLS: the golden table of plain connections holds.
func TestSystemCallsPerMessageOverTLS(t *testing.T) {
	want := strings.TrimSpace(`
conns burst reads writes waits changes
    1     1     1      1     1       0
    1    16     1      1     1       0
   16     1    16     16     1       0
   16    16    16     16     1       0
`)
	for _, o := range []core.TLS{{MinVersion: tls.VersionTLS13}, {MaxVersion: tls.VersionTLS12, LendBuffers: true}} {
		got := "conns burst reads writes waits changes\n"
		for _, conns := range []int{1, 16} {
			b := newTLSBench(t, conns, o)
			for _, burst := range []int{1, 16} {
				b.round(burst) // whatever happens only once
				before, waits := b.eng.Stats(), b.loop.Waits()
				b.round(burst)
				after := b.eng.Stats()
				got += fmt.Sprintf("%5d %5d %5d %6d %5d %7d\n", conns, burst, after.Reads-before.Reads,
					after.Writes-before.Writes, b.loop.Waits()-waits, after.Changes-before.Changes)
			}
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// TestEchoAllocationsOverTLS: a steady 64-byte echo costs one allocation for each record,
// which is crypto/tls's own, and none with LendBuffers.
func TestEchoAllocationsOverTLS(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; CI runs this once more without it")
	}
	for _, o := range []core.TLS{
		{MinVersion: tls.VersionTLS13}, {MinVersion: tls.VersionTLS13, LendBuffers: true},
		{MaxVersion: tls.VersionTLS12}, {MaxVersion: tls.VersionTLS12, LendBuffers: true},
	} {
		b := newTLSBench(t, 1, o)
		fd, s := b.clients[0], b.sessions[0]
		b.round(1)
		for _, burst := range []int{1, 16} {
			const runs = 200
			var made [][]byte // beforehand: what the client allocates does not count
			for range runs + 1 {
				var all []byte
				for range burst {
					all = append(all, b.sealed(s, message)...)
				}
				made = append(made, all)
			}
			next := 0
			n := testing.AllocsPerRun(runs, func() {
				unix.Write(fd, made[next])
				next++
				b.loop.Pass(0)
				unix.Read(fd, b.buf[:])
			})
			want := float64(burst * allocsPerRecord)
			if o.LendBuffers && tlsio.CanLend() {
				want = 0
			}
			if n != want {
				t.Errorf("lend %v, %s, %d at once: %v allocations, want %v", o.LendBuffers, tls.VersionName(max(o.MinVersion, o.MaxVersion)), burst, n, want)
			}
		}
	}
}

// allocsPerRecord is what tls.Conn.Read costs for each record that it reads by itself:
// the reader that it puts around its net.Conn. A record that is lent needs none.
const allocsPerRecord = 1
