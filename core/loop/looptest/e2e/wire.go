package e2e

import (
	"crypto/tls"
	"fmt"
	"slices"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
)

// Wire is what the engine's servers and clients speak with their peers.
type Wire uint8

const (
	// Plain is TCP as it is.
	Plain Wire = iota
	// TLS is TLS as crypto/tls writes it.
	TLS
	// TLSBytes is TLS whose bytes come one by one from the peer.
	TLSBytes
	// TLSRecords is TLS whose records come one by one.
	TLSRecords
	// TLSCoalesced is TLS whose peer gathers what it writes.
	TLSCoalesced
)

// String returns the wire as subtests are called after it.
func (w Wire) String() string {
	return [...]string{"plain", "tls", "tls-bytes", "tls-records", "tls-coalesced"}[w%5]
}

// shape is how the peer's ciphertext goes out.
func (w Wire) shape() client.Shape {
	return [...]client.Shape{client.AsMade, client.AsMade, client.OneByte, client.OneRecord, client.Coalesced}[w%5]
}

// plainOnly are the cases that are not asked over TLS, and why.
var plainOnly = map[string]string{
	"adopt-file": "pipes are no connections: there is no TLS on them",
}

// shapedCases are the cases that are asked with every shape of ciphertext: those in
// which a peer of the suite's own says much.
var shapedCases = []string{"ws-echo", "ws-fragments", "ws-close", "dial-where", "http", "http-half-close"}

// PlainOnly returns why a case is not asked over TLS; "" if it is.
func PlainOnly(name string) string { return plainOnly[name] }

// Wires returns the wires that a case is asked over. Those about TLS itself are
// not asked over Plain.
func Wires(name string) []Wire {
	switch {
	case slices.ContainsFunc(tlsCases, func(k kase) bool { return k.name == name }):
		return []Wire{TLS}
	case plainOnly[name] != "":
		return []Wire{Plain}
	case slices.Contains(shapedCases, name):
		return []Wire{Plain, TLS, TLSBytes, TLSRecords, TLSCoalesced}
	}
	return []Wire{Plain, TLS}
}

// Over returns hosts like those of newHost whose peers speak w.
func Over(w Wire, newHost func(testing.TB, int) Host) func(testing.TB, int) Host {
	return func(t testing.TB, threads int) Host {
		h := newHost(t, threads)
		h.Wire = w
		return h
	}
}

// RunTLS runs every case that is asked over TLS once over it, so that it does not
// take as long as Run does for each number of threads: the numbers in counts go by
// turns from case to case, and among the cases that have them the shapes of
// ciphertext. examples/matrix shows how to run every pair, and the whole product.
func RunTLS(t *testing.T, counts []int, newHost func(t testing.TB, threads int) Host) Results {
	t.Helper()
	Warm(t, counts[0], Over(TLS, newHost))
	all := Results{}
	turn := map[int]int{} // by the number of wires
	for i, name := range Cases() {
		wires := slices.DeleteFunc(Wires(name), func(w Wire) bool { return w == Plain })
		if len(wires) == 0 {
			continue
		}
		w, threads := wires[turn[len(wires)]%len(wires)], counts[i%len(counts)]
		turn[len(wires)]++
		t.Run(fmt.Sprintf("%s/%v/threads=%d", name, w, threads), func(t *testing.T) {
			all[name] = RunCase(t, name, threads, Over(w, newHost))
		})
	}
	return all
}

// secure makes a vhost speak what the scene's wire says, unless it says itself.
func (s *scene) secure(vh *core.VHost) {
	if s.host.Wire == Plain {
		return
	}
	id := ours()
	if vh.TLS == nil {
		vh.TLS = &core.TLS{Config: id.server()}
	}
	if vh.ClientTLS == nil {
		vh.ClientTLS = &core.ClientTLS{Config: s.speaks("")}
	}
}

// speaks is how the scene's clients speak TLS. Where ciphertext has a shape, the
// first flight is as large as browsers make it.
func (s *scene) speaks(name string) *tls.Config {
	c := ours().client(name)
	if s.host.Wire != TLS {
		c.CurvePreferences = nil
	}
	return c
}

// scheme is "ws", or "wss" over TLS.
func (s *scene) scheme() string {
	if s.host.Wire == Plain {
		return "ws"
	}
	return "wss"
}

// overTLS reports whether TLS is spoken.
func (s *scene) overTLS() bool { return s.host.Wire != Plain }
