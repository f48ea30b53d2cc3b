package tlsio

import (
	"bytes"
	"io"
	"runtime"
	"testing"
)

// each runs f for every kind of connection and every mode.
func each(t *testing.T, f func(t *testing.T, u suite, m mode)) {
	for _, u := range suites() {
		for _, m := range modes {
			t.Run(u.name+"/"+m.String(), func(t *testing.T) { f(t, u, m) })
		}
	}
}

// story is everything that happens on a connection: both sides talk and say that
// they are done.
func story(t *testing.T, server, client *side, toServer, toClient chop) {
	t.Helper()
	exchange(server, client, toServer, toClient)
	server.must(t)
	client.must(t)
	ask, answer := bytes.Repeat([]byte("ask "), 10), bytes.Repeat([]byte("answer "), 30)
	client.write(ask)
	client.write(ask)
	exchange(server, client, toServer, toClient)
	server.write(answer)
	server.out = server.s.CloseNotify(server.out)
	exchange(server, client, toServer, toClient)
	client.write(ask)
	client.out = client.s.CloseNotify(client.out)
	exchange(server, client, toServer, toClient)
	if want := bytes.Repeat(ask, 3); !bytes.Equal(server.got, want) || server.err != io.EOF {
		t.Fatalf("server: %d bytes, want %d; %v", len(server.got), len(want), server.err)
	}
	if !bytes.Equal(client.got, answer) || client.err != io.EOF {
		t.Fatalf("client: %d bytes, want %d; %v", len(client.got), len(answer), client.err)
	}
}

func TestWholeAndByteByByte(t *testing.T) {
	base := runtime.NumGoroutine()
	each(t, func(t *testing.T, u suite, m mode) {
		server, client := pair(t, u, m)
		story(t, server, client, whole, whole)
		server, client = pair(t, u, m)
		story(t, server, client, single, single)
		if m.lend && !CanLend() {
			t.Error("nothing was lent")
		}
	})
	quiet(t, base)
}

// Every byte of a connection, both ways: hellos, certificates, tickets, data,
// close_notify.
func TestSplitAtEveryByte(t *testing.T) {
	base := runtime.NumGoroutine()
	step := 1
	if testing.Short() || raceEnabled {
		step = 13
	}
	for _, u := range []suite{suites()[0], suites()[2]} {
		for _, m := range []mode{{false, false}, {true, true}} {
			t.Run(u.name+"/"+m.String(), func(t *testing.T) {
				for cut, length := 0, 1; cut < length; cut += step {
					server, client := pair(t, u, m)
					count := func(off, n int) int {
						length = max(length, off+n)
						return at(cut)(off, n)
					}
					story(t, server, client, count, count)
				}
			})
		}
	}
	quiet(t, base)
}

// Data of every size that matters, each record split at its header, at its ends
// and in the middle.
func TestRecordSizes(t *testing.T) {
	each(t, func(t *testing.T, u suite, m mode) {
		server, client := open(t, u, m)
		for _, e := range [][2]*side{{server, client}, {client, server}} {
			from, to := e[0], e[1]
			for _, size := range []int{1, 2, 15, 16, 17, 255, 256, 1399, 4096, 16383, 16384} {
				want := bytes.Repeat([]byte{byte(size)}, size)
				for _, cut := range []int{0, 1, 4, 5, 6, size / 2, size, size + 5, size + 20} {
					to.got = to.got[:0]
					from.write(want)
					move(from, to, at(cut), 0)
					if !bytes.Equal(to.got, want) || to.err != nil || to.s.Buffered() != 0 {
						t.Fatalf("%d bytes cut at %d: got %d, %v, %d buffered", size, cut, len(to.got), to.err, to.s.Buffered())
					}
				}
			}
		}
	})
}

// Several records in one Feed, with the beginning of one more, of which what is
// not read is kept.
func TestManyRecordsInOneFeed(t *testing.T) {
	each(t, func(t *testing.T, u suite, m mode) {
		server, client := open(t, u, m)
		var want []byte
		for i := range 40 {
			rec := bytes.Repeat([]byte{byte(i)}, 1+i*i*7)
			client.write(rec)
			want = append(want, rec...)
		}
		stream := client.out
		for off := 0; off < len(stream); {
			n := min(5000, len(stream)-off)
			lent := bytes.Clone(stream[off : off+n])
			server.s.Feed(lent)
			// One record is read, the rest is left: a pause.
			out, k, err := server.s.Read(nil, server.p)
			if len(out) > 0 || err != nil && err != ErrAgain {
				t.Fatal(len(out), err)
			}
			server.got = append(server.got, server.p[:k]...)
			server.s.Release()
			clear(lent)
			off += n
		}
		server.service()
		if !bytes.Equal(server.got, want) || server.err != nil || server.s.Buffered() != 0 {
			t.Fatalf("got %d of %d bytes, %v", len(server.got), len(want), server.err)
		}
	})
}

// A buffer that is smaller than a record gets it in parts; lending waits.
func TestSmallBuffer(t *testing.T) {
	each(t, func(t *testing.T, u suite, m mode) {
		server, client := open(t, u, m)
		for _, size := range []int{1, 100, 16000, 16383} {
			server.p, server.got = make([]byte, size), nil
			var want []byte
			for i := range 5 {
				rec := bytes.Repeat([]byte{byte(i)}, 1+4000*i)
				client.write(rec)
				want = append(want, rec...)
			}
			move(client, server, whole, 0)
			server.p = make([]byte, maxPlaintext)
			client.write([]byte("end"))
			move(client, server, at(10), 0)
			if want = append(want, "end"...); !bytes.Equal(server.got, want) || server.err != nil {
				t.Fatalf("by %d: got %d of %d bytes, %v", size, len(server.got), len(want), server.err)
			}
		}
		if _, n, err := server.s.Read(nil, nil); n != 0 || err != io.ErrShortBuffer {
			t.Errorf("no buffer: %d, %v", n, err)
		}
	})
}
