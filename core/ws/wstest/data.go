package wstest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"anyloop/core/ws"
)

// dataKind makes payloads of a kind, which compress each in its way.
type dataKind struct {
	name string
	op   ws.Opcode
	make func(rnd *rand.Rand, n int) []byte
}

var dataKinds = []dataKind{
	{"random text", ws.Text, func(rnd *rand.Rand, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = ' ' + byte(rnd.IntN(95))
		}
		return b
	}},
	{"JSON", ws.Text, func(rnd *rand.Rand, n int) []byte {
		return filled(n, func(b *strings.Builder) {
			fmt.Fprintf(b, `{"id":%d,"name":"sensor-%d","value":%.3f,"tags":["%s","%s"],"ok":%v}`+"\n",
				rnd.IntN(1e6), rnd.IntN(50), rnd.Float64()*100, pick(rnd), pick(rnd), rnd.IntN(2) == 0)
		})
	}},
	{"HTML", ws.Text, func(rnd *rand.Rand, n int) []byte {
		return filled(n, func(b *strings.Builder) {
			fmt.Fprintf(b, "<tr class=\"row\"><td><a href=\"/%s/%d\">%s &auml; %s</a></td><td>%d \u20ac</td></tr>\n",
				pick(rnd), rnd.IntN(1000), pick(rnd), pick(rnd), rnd.IntN(100))
		})
	}},
	{"prose", ws.Text, func(rnd *rand.Rand, n int) []byte {
		return filled(n, func(b *strings.Builder) {
			for range 3 + rnd.IntN(12) {
				b.WriteString(pick(rnd))
				b.WriteByte(' ')
			}
			b.WriteString("\u2014 \u00fcber.\n")
		})
	}},
	{"a program", ws.Binary, func(rnd *rand.Rand, n int) []byte {
		b := make([]byte, 0, n+64)
		for len(b) < n {
			switch rnd.IntN(4) {
			case 0: // a table of small numbers
				for range 4 {
					b = append(b, byte(rnd.IntN(8)), 0, 0, 0)
				}
			case 1: // instructions
				b = append(b, 0x48, 0x89, byte(rnd.IntN(4)*8+0x44), 0x24, byte(rnd.IntN(16)*8))
			case 2: // names
				b = append(append(b, pick(rnd)...), 0)
			default:
				b = append(b, byte(rnd.Uint32()), byte(rnd.Uint32()))
			}
		}
		return b[:n]
	}},
	{"noise", ws.Binary, func(rnd *rand.Rand, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}},
	{"zeros", ws.Binary, func(_ *rand.Rand, n int) []byte { return make([]byte, n) }},
}

// filled is text of n bytes that ends in whole characters.
func filled(n int, more func(*strings.Builder)) []byte {
	var b strings.Builder
	for b.Len() < n {
		more(&b)
	}
	p := []byte(strings.ToValidUTF8(b.String()[:n], ""))
	for len(p) < n {
		p = append(p, '.')
	}
	return p
}

var words = strings.Fields("temperature pressure north south alpha beta gamma delta window distance message frame server client " +
	"continuation opening handshake extension parameter dictionary history literal length symbol code table stream")

func pick(rnd *rand.Rand) string { return words[rnd.IntN(len(words))] }
