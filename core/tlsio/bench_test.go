package tlsio

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkHandshake reports the processor time of the server's calls, not the
// client's, as server-cpu-ns/op; collections that fall into them included.
func BenchmarkHandshake(b *testing.B) {
	for _, u := range suites() {
		for _, m := range modes {
			b.Run(u.name+"/"+m.String(), func(b *testing.B) {
				b.ReportAllocs()
				sc, cc := u.configs()
				p := make([]byte, maxPlaintext)
				var spent time.Duration
				for b.Loop() {
					server := &side{t: b, p: p, s: Server(sc, m.options())}
					client := &side{t: b, p: p, s: Client(cc, m.options())}
					client.service()
					for len(client.out) > 0 {
						start := processorTime()
						move(client, server, whole, 0)
						spent += processorTime() - start
						move(server, client, whole, 0)
					}
					server.must(b)
				}
				b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "server-cpu-ns/op")
			})
		}
	}
}

// BenchmarkEcho reads a record and writes it back, on the server; the client's
// part is done before: read-ns/op and write-ns/op are of one record each.
func BenchmarkEcho(b *testing.B) {
	for _, u := range []suite{suites()[0], suites()[2]} {
		for _, lend := range []bool{false, true} {
			for _, size := range []int{64, maxPlaintext} {
				b.Run(fmt.Sprintf("%s/%s/%d", u.name, pick(lend, "lend", "copy"), size), func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(size))
					server, client := open(b, u, mode{lend: lend})
					p, rec, out := make([]byte, size), make([]byte, 0, 1<<15), make([]byte, 0, 1<<15)
					var reads, writes time.Duration
					for b.Loop() {
						rec, _ = client.s.Write(rec[:0], p)
						start := time.Now()
						server.s.Feed(rec)
						_, n, err := server.s.Read(out, server.p)
						server.s.Release()
						mid := time.Now()
						out, _ = server.s.Write(out[:0], server.p[:n])
						reads, writes = reads+mid.Sub(start), writes+time.Since(mid)
						if n != size || err != nil {
							b.Fatal(n, err)
						}
					}
					b.ReportMetric(float64(reads.Nanoseconds())/float64(b.N), "read-ns/op")
					b.ReportMetric(float64(writes.Nanoseconds())/float64(b.N), "write-ns/op")
				})
			}
		}
	}
}
