package core_test

import (
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// oneClient is what a client keeps whose windows are of 4 KiB.
const oneClient = 2 * (1<<12 + 2<<10)

// budgeted is a client of a vhost with a budget for n connections.
func budgeted(t *testing.T, n int64, zip *core.Deflate) (*world, *caller) {
	h := &caller{}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Deflate: zip, Limits: core.Limits{DeflateMemory: n * oneClient},
		Protocols: []core.Protocol{{Name: "client", WS: h.made}}}}})
	h.w = w
	return w, h
}

// offers dials and returns the server and what it was offered.
func (w *world) offers(h *caller, d core.Dial) (f *far, offer string) {
	w.t.Helper()
	f = w.listens(farAddr)
	h.heard, h.given = nil, nil
	h.dial(d)
	w.k.Drive()
	f.request()
	_, rest, _ := strings.Cut(f.head, "sec-websocket-extensions: ")
	offer, _, _ = strings.Cut(rest, "\r\n")
	return f, offer
}

// agrees answers with an extension field, "" for none.
func (f *far) agrees(ext string) {
	if ext != "" {
		ext = "Sec-WebSocket-Extensions: " + ext + "\r\n"
	}
	f.WriteString(f.accept(ext))
	f.w.k.Drive()
}

const bounded = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"

func takesOver(offer string) bool {
	return strings.HasPrefix(offer, "permessage-deflate") && !strings.Contains(offer, "no_context_takeover")
}

// TestDialDeflateIsWithinTheVHostsBudget: it counts also where the options are Dial's own
// and the vhost has none; beyond the budget a client offers to keep nothing, and opens.
func TestDialDeflateIsWithinTheVHostsBudget(t *testing.T) {
	for name, zip := range map[string]*core.Deflate{"own options": nil, "the vhost's": {Takeover: true}} {
		t.Run(name, func(t *testing.T) {
			w, h := budgeted(t, 2, zip)
			d := core.Dial{}
			if zip == nil {
				d.Deflate = &core.Deflate{Takeover: true}
			}
			first, offer := w.offers(h, d)
			if !takesOver(offer) {
				t.Fatalf("the first offers %q", offer)
			}
			first.agrees(bounded)
			h.want("made, connected 101 m")
			second, offer := w.offers(h, d) // and has no answer yet
			if !takesOver(offer) {
				t.Fatalf("the second offers %q", offer)
			}
			third, offer := w.offers(h, d)
			if strings.Count(offer, "server_no_context_takeover; client_no_context_takeover") == 0 {
				t.Errorf("beyond the budget %q is offered", offer)
			}
			third.agrees("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
			h.want("made, connected 101 m")
			h.given = nil
			second.agrees("") // wants none
			if _, offer = w.offers(h, d); !takesOver(offer) {
				t.Errorf("when the second does without, %q is offered", offer)
			}
		})
	}
}

// TestDialDeflateGivesBackWhatItReserved: by each way in which nothing comes of an offer.
func TestDialDeflateGivesBackWhatItReserved(t *testing.T) {
	for name, fails := range map[string]func(*far, *core.Conn){
		"refused": func(f *far, _ *core.Conn) { f.WriteString("HTTP/1.1 403 x\r\n\r\n") },
		"gone":    func(f *far, _ *core.Conn) { f.CloseWrite() },
		"dropped": func(_ *far, c *core.Conn) { c.Drop() },
		"illegal": func(f *far, _ *core.Conn) { f.agrees("permessage-deflate; x") },
		"wide":    func(f *far, _ *core.Conn) { f.agrees("permessage-deflate") }, // a window of 32 KiB is beyond the budget
		"closed": func(f *far, c *core.Conn) {
			f.agrees(bounded)
			c.Drop()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, h := budgeted(t, 1, &core.Deflate{Takeover: true})
			f, _ := w.offers(h, core.Dial{})
			fails(f, h.given)
			w.k.Drive()
			if h.err == nil {
				t.Fatalf("it lives: %q", h.heard)
			}
			if name == "wide" && !strings.HasSuffix(h.err.Error(), ": DeflateMemory exceeded") {
				t.Errorf("failed with %v", h.err)
			}
			if _, offer := w.offers(h, core.Dial{}); !takesOver(offer) {
				t.Errorf("the next one offers %q", offer)
			}
		})
	}
	w, h := budgeted(t, 1, &core.Deflate{Takeover: true})
	f, _ := w.offers(h, core.Dial{Redirects: 1})
	again := w.listens(farAddr)
	f.WriteString("HTTP/1.1 302 x\r\nLocation: /there\r\n\r\n")
	w.k.Drive()
	if again.request(); strings.Contains(again.head, "no_context_takeover") {
		t.Errorf("behind a redirect the request is\n%s", again.head)
	}
}
