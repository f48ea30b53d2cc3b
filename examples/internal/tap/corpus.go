package tap

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Message is one message of the conversation.
type Message struct {
	Binary bool
	Data   []byte
	// Split asks the sender for several frames, if it can.
	Split bool
}

// Twins is where in Messages two equal messages follow each other, which says
// from their sizes on the wire whether the history is kept.
const Twins = 10

// Messages returns what the driving side sends: every length at which the form of
// a frame changes, as text and as binary, large ones of both kinds, UTF-8 of all
// lengths, and some to be sent in several frames.
func Messages() []Message {
	rnd := rand.New(rand.NewPCG(4, 4))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	text := func(n int) []byte { return []byte(strings.Repeat("all work and no play ", n/21+1)[:n]) }
	var all []Message
	for _, n := range []int{0, 1, 125, 126, 65535} {
		all = append(all, Message{Data: text(n)}, Message{Binary: true, Data: random(n)})
	}
	// Fewer bytes than the smallest window, and nothing repeated within.
	twin := fmt.Appendf(nil, "%x", random(90))
	all = append(all, Message{Data: twin}, Message{Data: twin})
	all = append(all, Message{Data: text(65536)}, Message{Binary: true, Data: random(65536)})
	var json strings.Builder
	for i := 0; json.Len() < 1<<20; i++ {
		fmt.Fprintf(&json, `{"id":%d,"name":"sensor %d","on":%v,"value":%.3f},`, i, rnd.IntN(40), i%3 == 0, rnd.Float64()*100)
	}
	utf8 := strings.Repeat("aß€😀 żółć Ελλάδα 日本語 ", 40)
	return append(all,
		Message{Data: []byte(json.String()[:1<<20])},
		Message{Binary: true, Data: random(100 << 10)},
		Message{Data: []byte(utf8)},
		Message{Data: []byte(strings.Repeat(utf8, 3)), Split: true},
		Message{Binary: true, Data: append(random(300), text(90000)...), Split: true},
		Message{Data: []byte("after the fragments")},
	)
}

// Folder writes Messages to a folder that scripts read: a file each, in the order
// of their names, which end in .text or .binary, or .text.split and .binary.split.
func Folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for i, m := range Messages() {
		name := fmt.Sprintf("%02d.text", i)
		if m.Binary {
			name = fmt.Sprintf("%02d.binary", i)
		}
		if m.Split {
			name += ".split"
		}
		if err := os.WriteFile(filepath.Join(dir, name), m.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
