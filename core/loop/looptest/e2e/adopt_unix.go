//go:build unix

package e2e

import (
	"errors"
	"io"
	"os"
	"syscall"

	"anyloop/core"
)

// adopted is one end of a pipe in the loop's hands.
type adopted struct {
	got      chan string // what Readable read
	wrote    int         // on the conn's thread
	full     chan struct{}
	closed   chan error
	conn     *core.Conn
	readable int
	writable int
}

func (a *adopted) handler(*core.Conn) core.FileHandler {
	told := false
	return &fileCalls{
		readable: func(c *core.Conn, f *core.File) error {
			a.readable++
			var b [4096]byte
			n, err := f.Read(b[:])
			if n > 0 {
				a.got <- string(b[:n])
			}
			return err
		},
		writable: func(c *core.Conn, f *core.File) error {
			a.writable++
			if a.wrote >= pipeBytes {
				return c.Close(1000, "")
			}
			p := letters(1000)
			n, err := f.Write(p)
			a.wrote += n
			if n < len(p) && !told {
				told = true
				close(a.full)
			}
			return firstOf(err, c.RequestWritable())
		},
		closed: func(_ *core.Conn, err error) { a.closed <- err },
	}
}

// pipeBytes is more than a pipe holds.
const pipeBytes = 4 << 20

// adoptFile: the reading end of a pipe is read, paused, resumed and told of its
// end; the writing end writes as the reader takes it.
func adoptFile(s *scene) error {
	r := &adopted{got: make(chan string, 16), closed: make(chan error, 1)}
	w := &adopted{full: make(chan struct{}), closed: make(chan error, 1)}
	vh := echoing()
	vh.Protocols = append(vh.Protocols, core.Protocol{Name: "r", File: r.handler}, core.Protocol{Name: "w", File: w.handler})
	if err := s.up(vh, core.Limits{}); err != nil {
		return err
	}
	if err := s.readPipe(r); err != nil {
		return err
	}
	return s.writePipe(w)
}

// pipe makes a pipe of which one end is adopted by the last thread; the other is
// returned. On an error nothing is left open.
func (s *scene) pipe(a *adopted, protocol string, mine int) (*os.File, error) {
	s.t.Helper()
	var p [2]int
	s.must(syscall.Pipe(p[:]))
	syscall.CloseOnExec(p[0])
	syscall.CloseOnExec(p[1])
	var err error
	last := s.threads - 1
	s.on(last, func() {
		a.conn, err = s.eng.Thread(last).AdoptFile(p[1-mine], s.eng.VHost("test"), protocol)
	})
	f := os.NewFile(uintptr(p[mine]), "pipe")
	if err != nil {
		f.Close()
		syscall.Close(p[1-mine])
	}
	return f, err
}

func (s *scene) readPipe(r *adopted) error {
	s.t.Helper()
	f, err := s.pipe(r, "r", 1)
	if err != nil {
		return err
	}
	defer f.Close()
	io.WriteString(f, "one")
	if got := take(s, r.got, "the pipe is read"); got != "one" {
		s.t.Errorf("read %q", got)
	}
	before := 0
	s.with(r.conn, func(c *core.Conn) { s.no(c.Pause()); before = r.readable })
	io.WriteString(f, "two")
	s.laps()
	s.with(r.conn, func(c *core.Conn) {
		if r.readable != before {
			s.t.Errorf("Readable while paused")
		}
		s.no(c.Resume())
	})
	if got := take(s, r.got, "the pipe is read after Resume"); got != "two" {
		s.t.Errorf("read %q", got)
	}
	io.WriteString(f, "three")
	f.Close()
	if got := take(s, r.got, "what was written before the end"); got != "three" {
		s.t.Errorf("read %q", got)
	}
	if err := take(s, r.closed, "Closed at the end of the pipe"); !errors.Is(err, io.EOF) {
		s.t.Errorf("Closed with %v", err)
	}
	return nil
}

func (s *scene) writePipe(w *adopted) error {
	s.t.Helper()
	f, err := s.pipe(w, "w", 0)
	if err != nil {
		return err
	}
	defer f.Close()
	s.with(w.conn, func(c *core.Conn) { s.no(c.RequestWritable()) })
	s.wait(w.full, "the pipe is full")
	s.laps()
	before := 0
	s.with(w.conn, func(*core.Conn) { before = w.writable })
	s.laps()
	s.with(w.conn, func(*core.Conn) {
		if w.writable != before {
			s.t.Errorf("%d Writable while the pipe is full", w.writable-before)
		}
		if w.wrote > 1<<20 {
			s.t.Errorf("%d bytes written into a pipe that nobody reads", w.wrote)
		}
	})
	got, err := io.ReadAll(f)
	s.must(err)
	if len(got) < pipeBytes || string(got[:1000]) != string(letters(1000)) {
		s.t.Errorf("%d bytes came through the pipe", len(got))
	}
	take(s, w.closed, "Closed of the writing end")
	if len(got) != w.wrote { // after Closed nothing writes
		s.t.Errorf("%d bytes came through the pipe, %d were written", len(got), w.wrote)
	}
	return nil
}
