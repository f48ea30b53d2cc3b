package poll_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"anyloop/core"
	"anyloop/loops/poll"
)

func echoProtocol() core.Protocol {
	return core.Protocol{Name: "e", WS: core.OnMessage(
		func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}
}

// TestVHostsAddedByEveryThread: vhosts come and go at run time, from any of
// several service threads, also inside Init; each has its Init before AddVHost
// returns, and its Destroy.
func TestVHostsAddedByEveryThread(t *testing.T) {
	const threads, each = 3, 5
	for _, reuse := range []bool{false, true} {
		first := echoProtocol()
		inner := make(chan *core.VirtualHost, 1)
		first.Init = func(vh *core.VirtualHost) error {
			more, err := vh.Engine().AddVHost(core.VHost{Name: "inner", Addr: "127.0.0.1:0", Protocols: []core.Protocol{echoProtocol()}})
			inner <- more
			return err
		}
		eng, err := core.New(core.Config{Backend: poll.Backend(), Threads: threads, ReusePort: reuse,
			VHosts: []core.VHost{{Addr: "127.0.0.1:0", Protocols: []core.Protocol{first}}}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- eng.Run(context.Background()) }()
		echoAt(t, (<-inner).Addr())
		added := make(chan *core.VirtualHost, threads*each)
		destroyed := make(chan string, threads*each)
		for i := range threads {
			for k := range each {
				eng.Thread(i).Post(func() { added <- addOne(t, eng, fmt.Sprintf("v%d-%d", i, k), destroyed) })
			}
		}
		for range threads * each {
			vh := <-added
			echoAt(t, vh.Addr())
			echoAt(t, eng.VHost("default").Addr())
			if err := eng.Thread(vhostThread(vh)).Post(vh.Remove); err != nil {
				t.Error(err)
			}
			<-destroyed
		}
		eng.Stop(-1)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func addOne(t *testing.T, eng *core.Engine, name string, destroyed chan<- string) *core.VirtualHost {
	inited := false
	p := echoProtocol()
	p.Init = func(*core.VirtualHost) error { inited = true; return nil }
	p.Destroy = func(vh *core.VirtualHost) { destroyed <- vh.Name() }
	vh, err := eng.AddVHost(core.VHost{Name: name, Addr: "127.0.0.1:0", Protocols: []core.Protocol{p}})
	if err != nil {
		t.Error(err)
	}
	if !inited {
		t.Error("AddVHost returned before Init")
	}
	return vh
}

// vhostThread names the thread that adds a vhost, for its removal by another.
func vhostThread(vh *core.VirtualHost) (i int) {
	fmt.Sscanf(vh.Name(), "v%d-", &i)
	return (i + 1) % vh.Engine().Threads()
}

func echoAt(t *testing.T, addr string) {
	t.Helper()
	c := dialWS(t, addr)
	if c == nil {
		return
	}
	defer c.Close()
	got := make([]byte, len(echoed))
	c.Write(message)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Error(err)
	}
}

// TestAddressGivenBackInTheSameTurn: a vhost that takes the address of one that is
// removed in the same turn listens there.
func TestAddressGivenBackInTheSameTurn(t *testing.T) {
	addr := "unix:" + t.TempDir() + "/s"
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{{Name: "one", Addr: addr, Protocols: []core.Protocol{echoProtocol()}}}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(context.Background()) }()
	moved := make(chan error, 1)
	eng.Post(func() {
		eng.VHost("one").Remove()
		_, err := eng.AddVHost(core.VHost{Name: "two", Addr: addr, Protocols: []core.Protocol{echoProtocol()}})
		moved <- err
	})
	if err := <-moved; err != nil {
		t.Fatal(err)
	}
	turned := make(chan struct{})
	eng.Post(func() { close(turned) })
	<-turned // behind what Remove posted
	c := dialOn(t, "unix", addr[len("unix:"):])
	got := make([]byte, len(echoed))
	c.Write(message)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Error(err)
	}
	eng.Stop(-1)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
