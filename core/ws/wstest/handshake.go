package wstest

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"anyloop/core/ws"
)

// head is what is read of a request or response.
type head struct {
	line   string
	fields map[string][]string // by lower-case name
}

// readHead reads up to the empty line; what follows stays in the buffer.
func (p *peer) readHead() (h head, err error) {
	for {
		if i := bytes.Index(p.rx.buf, []byte("\r\n\r\n")); i >= 0 {
			lines := strings.Split(string(p.rx.buf[:i]), "\r\n")
			p.rx.buf = append(p.rx.buf[:0], p.rx.buf[i+4:]...)
			h.line, h.fields = lines[0], map[string][]string{}
			for _, l := range lines[1:] {
				name, value, ok := strings.Cut(l, ":")
				if !ok || name == "" || strings.ContainsAny(name, " \t") {
					return h, fmt.Errorf("header line %q", l)
				}
				name = strings.ToLower(name)
				h.fields[name] = append(h.fields[name], strings.Trim(value, " \t"))
			}
			return h, nil
		}
		b, err := p.w.Read()
		p.rx.buf = append(p.rx.buf, b...)
		if err != nil {
			return h, fmt.Errorf("inside a header, after %q: %w", p.rx.buf, err)
		}
	}
}

// one returns a field that must be there once.
func (h head) one(name string) (string, error) {
	if v := h.fields[name]; len(v) == 1 {
		return v[0], nil
	}
	return "", fmt.Errorf("%d fields %s in %q", len(h.fields[name]), name, h.line)
}

// has reports whether a list field contains a token.
func (h head) has(name, token string) bool {
	for _, v := range h.fields[name] {
		for s := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(s), token) {
				return true
			}
		}
	}
	return false
}

// accept is the answer to a key (RFC 6455 4.2.2).
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// request is the opening handshake of a client; edits replace lines by their
// name: "Name: value", "-Name" removes it, "+Name: value" adds another.
func (p *peer) request(key string, edits ...string) string {
	lines := []string{
		"GET " + p.opt.Path + " HTTP/1.1", "Host: " + p.opt.Host, "Upgrade: websocket",
		"Connection: Upgrade", "Sec-WebSocket-Key: " + key, "Sec-WebSocket-Version: 13",
	}
	return strings.Join(edited(lines, edits), "\r\n") + "\r\n" + p.opt.Header + "\r\n"
}

// response is the answer of a server.
func response(key string, edits ...string) string {
	lines := []string{
		"HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Accept: " + accept(key),
	}
	return strings.Join(edited(lines, edits), "\r\n") + "\r\n\r\n"
}

func edited(lines, edits []string) []string {
	for _, e := range edits {
		if l, ok := strings.CutPrefix(e, "+"); ok {
			lines = append(lines, l)
			continue
		}
		name, _, field := strings.Cut(strings.TrimPrefix(e, "-"), ":")
		var out []string
		for i, l := range lines {
			same := i == 0 && !field && e[0] != '-'
			if i > 0 && (field || e[0] == '-') {
				n, _, _ := strings.Cut(l, ":")
				same = strings.EqualFold(n, name)
			}
			switch {
			case same && e[0] != '-':
				out = append(out, e)
				e = "-"
			case !same:
				out = append(out, l)
			}
		}
		lines = out
	}
	return lines
}

func (p *peer) randomKey() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(p.rnd.Uint32())
	}
	return base64.StdEncoding.EncodeToString(b[:])
}

// open does the opening handshake, which is whole: other cases look into it.
func (p *peer) open() error {
	if p.side == ws.Client {
		return p.serve()
	}
	key := p.randomKey()
	var edits []string
	if p.c.offer != "" {
		edits = append(edits, "+Sec-WebSocket-Extensions: "+p.c.offer)
	}
	if err := p.w.Write([]byte(p.request(key, edits...))); err != nil {
		return err
	}
	h, err := p.upgraded(key)
	if err != nil {
		return err
	}
	p.z, err = agreed(p.c.offer, h)
	if err != nil {
		return err
	}
	p.setup()
	return nil
}

// upgraded reads the answer of a server, which must be right.
func (p *peer) upgraded(key string) (head, error) {
	h, err := p.readHead()
	if err != nil {
		return h, err
	}
	if !strings.HasPrefix(h.line, "HTTP/1.1 101 ") {
		return h, fmt.Errorf("answer %q", h.line)
	}
	if v, err := h.one("upgrade"); err != nil || !strings.EqualFold(v, "websocket") {
		return h, fmt.Errorf("upgrade: %q %w", v, err)
	}
	if !h.has("connection", "upgrade") {
		return h, fmt.Errorf("connection: %q", h.fields["connection"])
	}
	if v, err := h.one("sec-websocket-accept"); err != nil || v != accept(key) {
		return h, fmt.Errorf("accept %q, want %q", v, accept(key))
	}
	for _, name := range []string{"content-length", "transfer-encoding", "sec-websocket-version"} {
		if len(h.fields[name]) > 0 {
			return h, fmt.Errorf("%s in a 101", name)
		}
	}
	return h, nil
}

// asked reads the request of a client, which must be right.
func (p *peer) asked() (h head, key string, err error) {
	if h, err = p.readHead(); err != nil {
		return h, "", err
	}
	if len(p.rx.buf) > 0 {
		return h, "", fmt.Errorf("the client does not wait for the answer: % x", p.rx.buf[:min(len(p.rx.buf), 16)])
	}
	if f := strings.Fields(h.line); len(f) != 3 || f[0] != "GET" || !strings.HasPrefix(f[1], "/") || f[2] != "HTTP/1.1" {
		return h, "", fmt.Errorf("request %q", h.line)
	}
	if v, err := h.one("host"); err != nil || v == "" {
		return h, "", fmt.Errorf("host %q: %w", v, err)
	}
	if v, err := h.one("sec-websocket-version"); err != nil || v != "13" {
		return h, "", fmt.Errorf("version %q: %w", v, err)
	}
	if !h.has("upgrade", "websocket") || !h.has("connection", "upgrade") {
		return h, "", errors.New("the request asks for no upgrade")
	}
	if key, err = h.one("sec-websocket-key"); err != nil {
		return h, "", err
	}
	if raw, err := base64.StdEncoding.Strict().DecodeString(key); err != nil || len(raw) != 16 {
		return h, "", fmt.Errorf("key %q", key)
	}
	return h, key, nil
}

// protocol selects the first subprotocol that a client offers.
func (h head) protocol() []string {
	for _, v := range h.fields["sec-websocket-protocol"] {
		first, _, _ := strings.Cut(v, ",")
		return []string{"+Sec-WebSocket-Protocol: " + strings.TrimSpace(first)}
	}
	return nil
}

// serve answers a client's opening handshake.
func (p *peer) serve() error {
	h, key, err := p.asked()
	if err != nil {
		return err
	}
	edits := h.protocol()
	offers, err := extensions(h.fields["sec-websocket-extensions"])
	if err != nil {
		return err
	}
	if p.opt.Deflate == nil && len(offers) > 0 {
		return fmt.Errorf("a client without compression offers %v", offers)
	}
	if p.c.answer != "" {
		if p.z, err = consent(p.c.answer, offers); err != nil {
			return err
		}
		edits = append(edits, "+Sec-WebSocket-Extensions: "+p.z.String())
	}
	p.setup()
	return p.w.Write([]byte(response(key, edits...)))
}

// setup readies both directions' compression.
func (p *peer) setup() {
	ours, theirs := p.z.client, p.z.server
	if p.side == ws.Client {
		ours, theirs = theirs, ours
	}
	p.tx.bits, p.tx.takeover = ours.bits, !ours.noTakeover
	p.rx.inf.bits, p.rx.inf.takeover = theirs.bits, !theirs.noTakeover
}

// speak sends bytes as they are, as the case is delivered.
func (p *peer) speak(s string) error {
	var cuts []int
	for i := range s {
		if s[i] == '\n' || s[i] == ':' {
			cuts = append(cuts, i, i+1)
		}
	}
	return p.deliver([]byte(s), cuts)
}

// refused reads an answer that is no upgrade and has one of the codes.
func (p *peer) refused(status int) error {
	h, err := p.readHead()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(h.line, fmt.Sprintf("HTTP/1.1 %d ", status)) {
		return fmt.Errorf("answer %q, want %d", h.line, status)
	}
	if status == 426 && !h.has("sec-websocket-version", "13") {
		return errors.New("426 does not say which version would do")
	}
	p.ended = true
	if err := p.w.CloseWrite(); err != nil {
		return err
	}
	for {
		if _, err := p.w.Read(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("after a refusal: %w", err)
		}
	}
}
