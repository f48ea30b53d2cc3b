package h1

import (
	"testing"

	"anyloop/core/header"
)

// browser is what a browser sends with a click.
const browser = "GET /chat/rooms/42?since=1700000000&limit=50 HTTP/1.1\r\nHost: www.example.org:8080\r\nConnection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Referer: http://www.example.org:8080/chat/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n"

func BenchmarkParser(b *testing.B) {
	for name, in := range map[string]string{"small": "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "browser": browser} {
		b.Run(name, func(b *testing.B) {
			in := []byte(in)
			var t header.Table
			var lim Limits
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				t.Reset()
				var r Request
				var ps Parser
				if done, _, err := ps.Next(in, &r, &t, &lim); !done || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
