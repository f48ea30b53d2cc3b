// Client is a WebSocket client for the terminal: what is typed is sent, line by
// line, and what comes is shown.
//
//	go run ./examples/client ws://localhost:7681/
//	go run ./examples/client -deflate -H 'authorization: Bearer x' -ping 5s ws://localhost:9001/
//
// Lines that begin with a slash are commands: /ping [text], /binary <hex>,
// /close [code [text]], /quit. A line that is to begin with a slash is written with
// two. The end of the input closes in good order, once what was sent is answered.
//
// It ends with status 0 if the connection closed in good order, whoever began.
package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"anyloop/core"
	"anyloop/examples/internal/app"
)

func main() {
	header := headerFlag()
	subprotocols := flag.String("subprotocols", "", "subprotocols to offer, comma-separated")
	origin := flag.String("origin", "", "Origin field")
	proxy := flag.String("proxy", "", "http://[user:password@]host:port or socks5://...")
	addr := flag.String("addr", "", "connect here instead of the URL's host: host:port or unix:/path")
	redirects := flag.Int("redirects", 4, "redirects that are followed")
	ping := flag.Duration("ping", 0, "send a Ping this often and show the answer's time; 0 is never")
	timeout := flag.Duration("timeout", 0, "for the connection to be made; 0 is 5s")
	loopName := flag.String("loop", "poll", "event loop: "+app.Loops())
	deflate := app.DeflateFlags()
	clientTLS := app.ClientTLSFlags()
	logLevel := flag.String("log", "error", "debug, info, warn, error or off")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: client [flags] ws://host[:port]/path")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}

	log, err := app.Log(*logLevel)
	if err != nil {
		app.Fatal(err)
	}
	host, err := app.NewHost(*loopName, 1)
	if err != nil {
		app.Fatal(err)
	}
	t := &terminal{every: *ping, next: make(chan struct{}, 1), over: make(chan struct{})}
	t.eng, err = core.New(core.Config{
		Backend: host.Backend,
		Log:     log,
		Limits:  core.Limits{ConnectTimeout: *timeout},
		VHosts: []core.VHost{{
			Deflate:   deflate(),
			ClientTLS: clientTLS(),
			Protocols: []core.Protocol{{Name: "terminal", WS: t.handler}},
		}},
	})
	if err != nil {
		app.Fatal(err)
	}
	d := core.Dial{URL: flag.Arg(0), Addr: *addr, Protocol: "terminal", Header: *header, Origin: *origin, Proxy: *proxy, Redirects: *redirects}
	if *subprotocols != "" {
		d.Subprotocols = strings.Split(*subprotocols, ",")
	}
	if _, err := t.eng.Thread(0).Dial(t.eng.VHost("default"), d); err != nil {
		app.Fatal(err)
	}
	if err := app.Serve(host, t.eng); err != nil {
		app.Fatal(err)
	}
	os.Exit(t.status)
}

// headerFlag declares -H.
func headerFlag() *core.Header {
	var header core.Header
	flag.Func("H", "header field to add, 'name: value'; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("use 'name: value'")
		}
		header = append(header, core.Field{Name: strings.ToLower(strings.TrimSpace(name)), Value: strings.TrimSpace(value)})
		return nil
	})
	return &header
}

// terminal is the program's one connection and its handler; loop thread only,
// but for read.
type terminal struct {
	eng    *core.Engine
	out    *core.Outbox
	every  time.Duration // between Pings; 0: none
	buf    []byte        // of a message that comes in pieces
	pings  []string      // to be sent
	ending bool          // the input has ended
	status int
	// next asks read for a line, which it is when the one before has been
	// taken by the socket: a pipe is read no faster than the server takes it.
	next chan struct{}
	owed bool          // next is to be asked
	over chan struct{} // closed with the connection
}

// longest is the most bytes of a line or a message.
const longest = 1 << 20

// handler implements Protocol.WS.
func (t *terminal) handler(c *core.Conn) core.WSHandler {
	t.out = core.NewOutbox(c, core.Refuse)
	return t
}

// Connected implements core.Connector.
func (t *terminal) Connected(c *core.Conn, r *core.Response) error {
	show("connected to %s", c.Peer())
	if p := r.Header("sec-websocket-protocol"); p != "" {
		show("subprotocol %s", p)
	}
	if e := r.Header("sec-websocket-extensions"); e != "" {
		show("extensions %s", e)
	}
	go t.read(c)
	return t.Timer(c)
}

// ConnectFailed implements core.ConnectFailer.
func (t *terminal) ConnectFailed(_ *core.Conn, err error) {
	show("%v", err)
	t.status = 1
	t.eng.Stop(-1)
}

// Receive implements core.WSHandler.
func (t *terminal) Receive(_ *core.Conn, f core.Fragment) error {
	if len(t.buf)+len(f.Data) > longest {
		t.status = 1
		return &core.CloseError{Code: 1009, Text: "longer than a terminal likes"}
	}
	t.buf = append(t.buf, f.Data...)
	if !f.Final {
		return nil
	}
	if f.Binary {
		fmt.Printf("< %x\n", t.buf)
	} else {
		fmt.Printf("< %s\n", printable(string(t.buf)))
	}
	t.buf = t.buf[:0]
	return nil
}

// Writable implements core.WSHandler.
func (t *terminal) Writable(c *core.Conn, w *core.WSWriter) error {
	switch {
	case len(t.pings) > 0:
	case t.out.Len() > 0 || !t.ending:
		if t.ending {
			c.RequestWritable()
		}
		err := t.out.Writable(w)
		t.ask()
		return err
	default:
		return w.Ping([]byte(lastPing))
	}
	err := w.Ping([]byte(t.pings[0]))
	t.pings = t.pings[1:]
	if len(t.pings) > 0 || t.out.Len() > 0 {
		c.RequestWritable()
	}
	return err
}

// Timer implements core.TimerHandler: the Pings of -ping.
func (t *terminal) Timer(c *core.Conn) error {
	if t.every <= 0 {
		return nil
	}
	t.ping(c, strconv.FormatInt(time.Now().UnixNano(), 10))
	return c.SetTimer(t.every)
}

func (t *terminal) ping(c *core.Conn, data string) {
	t.pings = append(t.pings, data)
	c.RequestWritable()
}

// Pong implements core.WSPonger.
func (t *terminal) Pong(c *core.Conn, data []byte) error {
	// Servers that answer with a part of it have been seen.
	if t.ending && len(data) > 0 && strings.HasPrefix(lastPing, string(data)) {
		return c.Close(1000, "")
	}
	if sent, err := strconv.ParseInt(string(data), 10, 64); err == nil && t.every > 0 {
		show("pong after %v", time.Since(time.Unix(0, sent)).Round(time.Microsecond))
		return nil
	}
	show("pong %q", data)
	return nil
}

// Closed implements core.ClosedHandler.
func (t *terminal) Closed(_ *core.Conn, err error) {
	show("%v", err)
	if !errors.As(err, new(*core.CloseError)) {
		t.status = 1
	}
	close(t.over)
	t.eng.Stop(time.Second)
}

// read takes lines from the standard input to the connection's thread. Reading
// blocks, so it has a goroutine; the terminal stays as it was.
func (t *terminal) read(c *core.Conn) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, longest)
	for in.Scan() {
		line := in.Text()
		if c.Post(func(c *core.Conn) { t.line(c, line) }) != nil {
			return
		}
		select {
		case <-t.next:
		case <-t.over:
			return
		}
	}
	err := in.Err()
	c.Post(func(c *core.Conn) { t.end(c, err) })
}

// lastPing follows the last message: its Pong tells that the server has had all,
// and what it had to answer at once has come.
const lastPing = "the input has ended"

// end closes when everything is sent and answered, or after a while. err is what
// was wrong with the input.
func (t *terminal) end(c *core.Conn, err error) {
	if err != nil {
		show("the input: %v", err)
		t.status = 1
	}
	t.ending = true
	c.RequestWritable()
	c.Thread().AfterFunc(5*time.Second, func() { c.Close(1000, "") })
}

// line does what a line says.
func (t *terminal) line(c *core.Conn, s string) {
	cmd, arg, _ := strings.Cut(s, " ")
	var err error
	switch {
	case strings.HasPrefix(s, "//"):
		err = t.out.Text(s[1:])
	case !strings.HasPrefix(s, "/"):
		err = t.out.Text(s)
	case cmd == "/ping" && len(arg) > 125:
		err = core.ErrControlTooLong
	case cmd == "/ping":
		t.ping(c, arg)
	case cmd == "/binary":
		var b []byte
		if b, err = hex.DecodeString(strings.ReplaceAll(arg, " ", "")); err == nil {
			err = t.out.Send(core.Message{Data: b, Binary: true})
		}
	case cmd == "/close":
		err = closeLine(c, arg)
	case cmd == "/quit":
		err = c.Close(1000, "")
	default:
		err = errors.New("there are /ping, /binary, /close and /quit")
	}
	if err != nil {
		show("%v", err)
	}
	t.owed = true
	t.ask()
}

// ask has the next line read once nothing waits.
func (t *terminal) ask() {
	if t.owed && t.out.Len() == 0 {
		t.owed = false
		t.next <- struct{}{}
	}
}

// closeLine does /close [code [text]].
func closeLine(c *core.Conn, arg string) error {
	code, text, _ := strings.Cut(arg, " ")
	if code == "" {
		return c.Close(1000, "")
	}
	n, err := strconv.Atoi(code)
	if err != nil {
		return fmt.Errorf("a close code is a number, not %q", code)
	}
	return c.Close(n, text)
}

// printable keeps a server from writing to the terminal what is no text: control
// characters other than tabs and line ends are shown as Go would write them.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) && r != '\t' && r != '\n' {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func show(format string, args ...any) {
	fmt.Println("*", printable(fmt.Sprintf(format, args...)))
}
