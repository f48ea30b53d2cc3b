package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

var (
	kinds  = []string{"order.created", "order.paid", "price.changed", "user.joined", "sensor.reading", "chat.message"}
	cities = []string{"Berlin", "São Paulo", "Lagos", "Tokyo", "Reykjavík", "Austin", "Mumbai"}
	words  = strings.Fields("the quick report says that market demand for copper was higher than expected while supply from northern mines fell after heavy rain and buyers moved early to cover open positions before winter shipping closes again")
)

// messages returns n JSON objects of exactly size bytes: the keys of one schema,
// and values of which about half were seen before, as an application's are. The
// same seed gives the same.
func messages(seed uint64, n, size int) (all [][]byte) {
	r := rand.New(rand.NewPCG(seed, 0x6d657373))
	at := int64(1767225600000) + int64(seed)*1000
	for i := range n {
		at += int64(r.IntN(4000))
		all = append(all, message(r, i, at, size))
	}
	return all
}

func message(r *rand.Rand, seq int, at int64, size int) []byte {
	m := fmt.Appendf(nil, `{"type":%q,"seq":%d,"ts":%d,"user":{"id":"u%08x","name":"%s %c."},"city":%q,"price":%.2f,"ok":%t`,
		kinds[r.IntN(len(kinds))], seq, at, r.Uint32N(5000)*2654435761, words[r.IntN(len(words))], 'A'+rune(r.IntN(26)),
		cities[r.IntN(len(cities))], r.Float64()*1000, r.IntN(4) > 0)
	m = append(m, `,"note":"`...)
	for len(m) < size-2 {
		m = append(append(m, words[r.IntN(len(words))]...), ' ')
	}
	m = m[:size-2]
	return append(m, `"}`...)
}
