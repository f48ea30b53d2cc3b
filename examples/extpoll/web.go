package main

import (
	"embed"
	"io/fs"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/extpoll"
)

//go:embed www
var www embed.FS

// web is all that was added: browsers in the same array, on the same goroutine.
// What is said in the chat goes to every page, what is typed in a page goes to
// the chat.
type web struct {
	chat  *chat
	pages map[*page]struct{}
}

func newWeb(set *extpoll.Set, addr string, c *chat) (*core.Engine, error) {
	files, err := fs.Sub(www, "www")
	if err != nil {
		return nil, err
	}
	w := &web{chat: c, pages: map[*page]struct{}{}}
	c.onLine = w.tell
	return core.New(core.Config{
		Backend: set.Backend(),
		VHosts: []core.VHost{{
			Name:      "chat",
			Addr:      addr,
			Mounts:    []core.Mount{mount.Files("/", files)},
			Protocols: []core.Protocol{{Name: "chat", WS: w.join}},
		}},
	})
}

// tell sends a line to every page; one that does not keep up loses old lines.
func (w *web) tell(line string) {
	for p := range w.pages {
		p.out.Text(line)
	}
}

// page is one WebSocket.
type page struct {
	w   *web
	in  []byte
	out *core.Outbox
}

func (w *web) join(c *core.Conn) core.WSHandler {
	p := &page{w: w, out: core.NewOutbox(c, core.DropOldest)}
	w.pages[p] = struct{}{}
	return p
}

func (p *page) Receive(_ *core.Conn, f core.Fragment) error {
	if len(p.in)+len(f.Data) > maxLine {
		return &core.CloseError{Code: 1009, Text: "line too long"}
	}
	p.in = append(p.in, f.Data...)
	if f.Final {
		line := string(p.in)
		p.in = p.in[:0]
		p.w.chat.say(line)
	}
	return nil
}

func (p *page) Writable(_ *core.Conn, w *core.WSWriter) error { return p.out.Writable(w) }
func (p *page) Closed(*core.Conn, error)                      { delete(p.w.pages, p) }
