package interop

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"anyloop/examples/internal/try"
)

// talking is a program with which a test talks by its standard input and output;
// all that it prints, errors too, comes as one text.
type talking struct {
	t     *testing.T
	stdin io.WriteCloser
	ended chan struct{} // closed when it has, and all is in said

	mu   sync.Mutex
	more *sync.Cond
	said strings.Builder
	over bool
}

// talk starts a program; it is killed at the test's end, or when it takes too long.
func talk(t *testing.T, argv ...string) *talking {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	p := &talking{t: t, ended: make(chan struct{})}
	p.more = sync.NewCond(&p.mu)
	var err error
	if p.stdin, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() { w.CloseWithError(cmd.Wait()) }()
	go p.listen(r)
	t.Cleanup(func() { cancel(); <-p.ended })
	return p
}

func (p *talking) listen(r io.Reader) {
	in, buf := bufio.NewReader(r), make([]byte, 64<<10)
	for {
		n, err := in.Read(buf)
		p.mu.Lock()
		p.said.Write(buf[:n])
		p.over = err != nil
		p.more.Broadcast()
		p.mu.Unlock()
		if err != nil {
			close(p.ended)
			return
		}
	}
}

// say writes to its standard input at once.
func (p *talking) say(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, s); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until what it has printed matches, and returns the groups. It fails
// the test if the program ends before.
func (p *talking) until(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if m := re.FindStringSubmatch(p.said.String()); m != nil {
			return m
		}
		if p.over {
			p.t.Fatalf("it ended without %q:\n%s", pattern, p.said.String())
		}
		p.more.Wait()
	}
}

// times waits until it has printed s n times.
func (p *talking) times(s string, n int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for strings.Count(p.said.String(), s) < n {
		if p.over {
			p.t.Fatalf("it ended before %q came %d times:\n%s", s, n, p.said.String())
		}
		p.more.Wait()
	}
}

// end waits for its end and returns all that it printed.
func (p *talking) end() string {
	<-p.ended
	return p.said.String()
}

// opensslServer is openssl's server.
type opensslServer struct {
	*talking
	addr string
}

// sServer runs openssl's server on a free port.
func sServer(t *testing.T, cert *try.Cert, args ...string) *opensslServer {
	t.Helper()
	argv := []string{try.Need(t, "openssl", "openssl"), "s_server", "-accept", "127.0.0.1:0", "-cert", cert.CertFile, "-key", cert.KeyFile}
	p := talk(t, append(argv, args...)...)
	return &opensslServer{p, p.until(`ACCEPT (127\.0\.0\.1:\d+)`)[1]}
}
