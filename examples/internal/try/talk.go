package try

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Talking is a program with which a test talks by its standard input and output;
// all that it prints, errors too, comes as one text.
type Talking struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{} // closed when it has, and all is in said

	mu   sync.Mutex
	more *sync.Cond
	said strings.Builder
	over bool
}

// talkWithin is how long a conversation may take, of which some are long.
const talkWithin = 5 * Bound

// Talk starts a program; it is killed at the test's end, or when it takes too long.
func Talk(t testing.TB, argv ...string) *Talking {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), talkWithin)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	p := &Talking{t: t, cmd: cmd, ended: make(chan struct{})}
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

func (p *Talking) listen(r io.Reader) {
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

// Say writes to its standard input at once.
func (p *Talking) Say(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, s); err != nil {
		p.t.Fatal(err)
	}
}

// Until waits until what it has printed matches, and returns the groups. It fails
// the test if the program ends before.
func (p *Talking) Until(pattern string) []string {
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

// Times waits until it has printed s n times.
func (p *Talking) Times(s string, n int) {
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

// End waits for its end and returns all that it printed.
func (p *Talking) End() string {
	<-p.ended
	return p.said.String()
}

// Signal sends it a signal.
func (p *Talking) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}
