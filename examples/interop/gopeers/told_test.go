package gopeers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	gws "github.com/gobwas/ws"
	gorillaws "github.com/gorilla/websocket"

	"anyloop/core"
	"anyloop/examples/internal/tap"
	"anyloop/examples/internal/try"
)

// told is how a library says a message and learns how it is closed by us.
type told struct {
	name   string
	client func(ctx context.Context, url string) (tap.Close, error)
	server func(w http.ResponseWriter, r *http.Request) (tap.Close, error)
}

var tolds = []told{
	{"gorilla",
		func(_ context.Context, url string) (tap.Close, error) {
			c, _, err := gorillaws.DefaultDialer.Dial(url, nil)
			if err != nil {
				return tap.Close{}, err
			}
			return toldGorilla(c)
		},
		func(w http.ResponseWriter, r *http.Request) (tap.Close, error) {
			c, err := (&gorillaws.Upgrader{}).Upgrade(w, r, nil)
			if err != nil {
				return tap.Close{}, err
			}
			return toldGorilla(c)
		}},
	{"coder",
		func(ctx context.Context, url string) (tap.Close, error) {
			c, _, err := websocket.Dial(ctx, url, nil)
			if err != nil {
				return tap.Close{}, err
			}
			return toldCoder(ctx, c)
		},
		func(w http.ResponseWriter, r *http.Request) (tap.Close, error) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return tap.Close{}, err
			}
			return toldCoder(context.Background(), c)
		}},
	{"gobwas",
		func(ctx context.Context, url string) (tap.Close, error) {
			c, _, _, err := gws.Dial(ctx, url)
			if err != nil {
				return tap.Close{}, err
			}
			return toldGobwas(c, gws.StateClientSide)
		},
		func(w http.ResponseWriter, r *http.Request) (tap.Close, error) {
			c, _, _, err := gws.UpgradeHTTP(r, w)
			if err != nil {
				return tap.Close{}, err
			}
			return toldGobwas(c, gws.StateServerSide)
		}},
}

func toldGorilla(c *gorillaws.Conn) (tap.Close, error) {
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(bound))
	if err := c.WriteMessage(gorillaws.TextMessage, []byte("hello")); err != nil {
		return tap.Close{}, err
	}
	_, _, err := c.ReadMessage()
	var ce *gorillaws.CloseError
	if !errors.As(err, &ce) {
		return tap.Close{}, fmt.Errorf("no Close: %w", err)
	}
	return tap.Close{Code: ce.Code, Text: ce.Text}, nil
}

func toldCoder(ctx context.Context, c *websocket.Conn) (tap.Close, error) {
	defer c.CloseNow()
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		return tap.Close{}, err
	}
	_, _, err := c.Read(ctx)
	var ce websocket.CloseError
	if !errors.As(err, &ce) {
		return tap.Close{}, fmt.Errorf("no Close: %w", err)
	}
	return tap.Close{Code: int(ce.Code), Text: ce.Reason}, nil
}

func toldGobwas(c net.Conn, side gws.State) (tap.Close, error) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(bound))
	send := func(f gws.Frame) error {
		if side.ClientSide() {
			f = gws.MaskFrame(f)
		}
		return gws.WriteFrame(c, f)
	}
	if err := send(gws.NewTextFrame([]byte("hello"))); err != nil {
		return tap.Close{}, err
	}
	f, err := gws.ReadFrame(c)
	if err != nil || f.Header.OpCode != gws.OpClose {
		return tap.Close{}, fmt.Errorf("no Close: %+v, %w", f.Header, err)
	}
	if f.Header.Masked {
		f = gws.UnmaskFrame(f)
	}
	code, text := gws.ParseCloseFrameData(f.Payload)
	return tap.Close{Code: int(code), Text: text}, send(gws.NewCloseFrame(gws.NewCloseFrameBody(code, "")))
}

// TestWeClose: the side that is ours closes, with a code and a text that the
// library hands to its user, and whose answer we get.
func TestWeClose(t *testing.T) {
	for _, l := range tolds {
		t.Run(l.name+"/server", func(t *testing.T) {
			h := new(try.Ended)
			eng := try.Engine(t, core.VHost{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "end", WS: try.Ends(h, core.OnMessage(try.Closing))}}})
			tp := tap.New(t, eng.VHost("default").Addr())
			if got, err := l.client(t.Context(), "ws://"+tp.Addr()+"/"); err != nil || got != try.Enough {
				t.Errorf("it was told %v, %v", got, err)
			}
			try.WeClosed(t, h, tp.Next(t), tap.Server)
		})
		t.Run(l.name+"/client", func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			over := make(chan struct{})
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(over)
				if got, err := l.server(w, r); err != nil || got != try.Enough {
					t.Errorf("it was told %v, %v", got, err)
				}
			})}
			go srv.Serve(ln)
			defer srv.Close()
			tp := tap.New(t, ln.Addr().String())
			h := new(try.Ended)
			eng := try.Engine(t, core.VHost{Protocols: []core.Protocol{{Name: "end", WS: try.Ends(h, core.OnMessage(try.Closing))}}})
			try.Connect(t, eng, core.Dial{URL: "ws://" + tp.Addr() + "/"})
			try.WeClosed(t, h, tp.Next(t), tap.Client)
			<-over
		})
	}
}
