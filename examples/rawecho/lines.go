package main

import (
	"bytes"
	"errors"

	"anyloop/core"
)

// maxLine is the longest line, its end included.
const maxLine = 4096

var errLine = errors.New("the line is too long")

// lines is one connection. It keeps the line that is incomplete, and what the peer
// has not taken yet: no more than one Receive makes of it, since nothing is read
// meanwhile.
type lines struct {
	line []byte // incomplete
	out  []byte // to be sent
	quit bool   // nothing follows
}

func (h *lines) Receive(c *core.Conn, p []byte) error {
	h.line = append(h.line, p...)
	for !h.quit {
		i := bytes.IndexByte(h.line, '\n')
		if i < 0 && len(h.line) < maxLine {
			break
		}
		if i < 0 || i >= maxLine {
			return errLine // what waits is sent before the end
		}
		h.quit = string(bytes.TrimRight(h.line[:i], "\r")) == "quit"
		h.out = append(h.out, h.line[:i+1]...)
		h.line = h.line[i+1:]
	}
	if len(h.out) == 0 {
		return nil
	}
	return c.RequestWritable()
}

// PeerEnd: a last line may lack its end.
func (h *lines) PeerEnd(c *core.Conn) error {
	h.out = append(h.out, h.line...)
	h.quit = true
	return c.RequestWritable()
}

func (h *lines) Writable(c *core.Conn, w *core.RawWriter) error {
	n, err := w.Write(h.out)
	switch h.out = h.out[n:]; {
	case err != nil:
		return err
	case len(h.out) > 0:
		return c.RequestWritable()
	case h.quit:
		return c.Close(1000, "")
	}
	h.out = nil
	return nil
}
