//go:build linux || darwin || freebsd

package main

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/loops/evio"
)

//go:embed www
var www embed.FS

// pages is all that was added: what changes goes to every page, and what a page
// sends is done like a line.
type pages struct {
	lamps *lamps
	open  map[*page]struct{}
}

// addWeb makes the engine that serves the page. It listens nowhere: evio accepts.
func addWeb(l *lamps, bridge *evioloop.Bridge) (*core.Engine, error) {
	files, err := fs.Sub(www, "www")
	if err != nil {
		return nil, err
	}
	ps := &pages{lamps: l, open: map[*page]struct{}{}}
	eng, err := core.New(core.Config{
		Backend: bridge,
		VHosts: []core.VHost{{
			Name:      "lamps",
			Mounts:    []core.Mount{mount.Files("/", files)},
			Protocols: []core.Protocol{{Name: "lamps", WS: ps.join}},
		}},
	})
	if err != nil {
		return nil, err
	}
	vh := eng.VHost("lamps")
	get := []byte("GET ")
	l.talks = func(c evio.Conn, first []byte) (tongue, evio.Action) {
		switch {
		case !bytes.HasPrefix(first, get[:min(len(first), len(get))]):
			return lines, evio.None
		case len(first) < len(get):
			return unclear, evio.None
		}
		action, err := bridge.Adopt(c, vh, first)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return http, evio.Close
		}
		return http, action
	}
	l.changed = func(line string) {
		for p := range ps.open {
			p.out.Text(line)
		}
	}
	return eng, nil
}

// page is one WebSocket.
type page struct {
	*pages
	in  []byte
	out *core.Outbox
}

func (ps *pages) join(c *core.Conn) core.WSHandler {
	p := &page{pages: ps, out: core.NewOutbox(c, core.DropOldest)}
	ps.open[p] = struct{}{}
	return p
}

func (p *page) Opened(*core.Conn, *core.Request) error {
	for line := range strings.Lines(p.lamps.list()) {
		p.out.Text(strings.TrimSpace(line))
	}
	return nil
}

func (p *page) Receive(_ *core.Conn, f core.Fragment) error {
	if len(p.in)+len(f.Data) > maxLine {
		return &core.CloseError{Code: 1009, Text: "line too long"}
	}
	p.in = append(p.in, f.Data...)
	if f.Final {
		line := string(p.in)
		p.in = p.in[:0]
		if answer := p.lamps.do(line); strings.HasPrefix(answer, "?") {
			return p.out.Text(answer)
		}
	}
	return nil
}

func (p *page) Writable(_ *core.Conn, w *core.WSWriter) error { return p.out.Writable(w) }
func (p *page) Closed(*core.Conn, error)                      { delete(p.open, p) }
