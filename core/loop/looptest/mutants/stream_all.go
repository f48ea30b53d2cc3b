package mutants

import (
	"syscall"

	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
)

// Streams has a mutant for each test of the stream suite.
var Streams = []StreamMutant{
	{Line: "S1_", What: "core writes on after a short count", conn: func(c *mutConn) {
		good := c.write
		c.write = func(head, tail []byte) (int, error) {
			n, err := good(head, tail)
			if err == nil && n < len(head) {
				more, err := good(head[n:], tail)
				return n + more, err
			}
			return n, err
		}
	}},
	{Line: "S1_", What: "the engine reports more than was sent", engine: true, Mode: looptest.MockMode{Holds: true}, conn: func(c *mutConn) {
		good := c.sent
		c.sent = func(n int) {
			good(n)
			c.sc.Sent(1 << 30)
		}
	}},
	{Line: "S2_", What: "the engine changes what it is given to write", engine: true, conn: func(c *mutConn) {
		good := c.write
		c.write = func(head, tail []byte) (int, error) {
			n, err := good(head, tail)
			if n == len(head)+len(tail) && len(head) > 0 {
				head[0] ^= 0xff
			}
			return n, err
		}
	}},
	{Line: "S2_", What: "core changes what it has given to send", Mode: looptest.MockMode{Holds: true, Piece: 4000}, conn: func(c *mutConn) {
		var out []byte
		gone := 0
		send, sent := c.send, c.sent
		c.send = func(p []byte) error {
			out, gone = p, 0
			return send(p)
		}
		c.sent = func(n int) {
			if gone += n; gone < len(out) {
				out[0] ^= 0xff // that was sent already
			}
			sent(n)
		}
	}},
	{Line: "S3_", What: "core keeps what it is fed", Mode: looptest.MockMode{Fresh: true}, conn: keeps},
	{Line: "S4_", What: "core pauses twice", conn: func(c *mutConn) {
		good := c.pause
		c.pause = func(on bool) {
			good(on)
			good(on)
		}
	}},
	{Line: "S5_OrderlyEndsWait", What: "core does not ask how much is Buffered", conn: func(c *mutConn) {
		good, eof := c.buffered, c.eof
		over := false
		c.eof = func() {
			over = true // how that ends is another line's
			eof()
		}
		c.buffered = func() int {
			if n := good(); n < 32<<10 || over {
				return n
			}
			return 0
		}
	}},
	{Line: "S5_OrderlyEndsAreBounded", What: "core waits for ever", conn: func(c *mutConn) {
		fed := 0
		feed, end := c.feed, c.close
		c.feed = func(p []byte) {
			fed += len(p)
			feed(p)
		}
		c.close = func() error {
			if fed < 100 && c.s.Buffered() > 0 { // a request, not a WebSocket that is cut off
				return nil
			}
			return end()
		}
	}},
	{Line: "S6_", What: "core calls after Close", conn: func(c *mutConn) {
		good := c.close
		c.close = func() error {
			err := good()
			c.s.CloseWrite()
			return err
		}
	}},
	{Line: "S7_", What: "the engine calls after Closed", engine: true, conn: func(c *mutConn) {
		good := c.closed
		c.closed = func(err error) {
			good(err)
			c.sc.Room()
		}
	}},
	{Line: "S8_", What: "the engine feeds from inside PauseInput", engine: true, conn: func(c *mutConn) {
		good := c.pause
		c.pause = func(on bool) {
			good(on)
			c.sc.Feed(nil)
		}
	}},
	{Line: "S9_", What: "core does not wait for Closed", Mode: looptest.MockMode{Late: 20}, conn: func(c *mutConn) {
		end, closed := c.close, c.closed
		told := false
		c.close = func() error {
			err := end()
			told = true
			closed(nil)
			return err
		}
		c.closed = func(err error) {
			if !told {
				closed(err)
			}
		}
	}},
	{Line: "S10_", What: "core calls after Steal", Mode: looptest.MockMode{StealAt: 100 << 10}, conn: func(c *mutConn) {
		good := c.steal
		c.steal = func(fd int, early []byte) error {
			err := good(fd, early)
			if err == nil {
				c.s.Close()
			}
			return err
		}
	}},
	{Line: "S11_", What: "core takes a connection and does not serve it", make: func(s *streamShim) {
		s.accept = func(acceptFunc, int, loop.Stream, string) (loop.StreamConn, error) { return deaf{}, nil }
	}},
	{Line: "S12_", What: "the engine sends nothing after EOF", engine: true, conn: func(c *mutConn) {
		write, eof := c.write, c.eof
		over := false
		c.eof = func() {
			over = true
			eof()
		}
		c.write = func(head, tail []byte) (int, error) {
			if over {
				return 0, syscall.EPIPE
			}
			return write(head, tail)
		}
	}},
	{Line: "S13_", What: "the loop is not told of work for another connection", make: func(s *streamShim) {
		good := s.rearm
		s.rearm = func() {
			if !s.poking {
				good()
			}
		}
	}, conn: func(c *mutConn) {
		good := c.feed
		c.feed = func(p []byte) {
			c.shim.poking = len(p) > 2 && p[0] == 0x81 && p[1] == 0x84 // a text of four bytes
			good(p)
			c.shim.poking = false
		}
	}},
}

// keeps feeds core in the next turn what it is lent now.
func keeps(c *mutConn) {
	var kept [][]byte
	feed, eof, closed, steal := c.feed, c.eof, c.closed, c.steal
	deliver := func() {
		for _, p := range kept {
			feed(p)
		}
		kept = nil
	}
	c.feed = func(p []byte) {
		kept = append(kept, p)
		c.shim.after = append(c.shim.after, deliver)
		c.shim.svc.Wake()
	}
	c.eof = func() { deliver(); eof() }
	c.closed = func(err error) { deliver(); closed(err) }
	c.steal = func(fd int, early []byte) error { deliver(); return steal(fd, early) }
}
