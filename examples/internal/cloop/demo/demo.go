//go:build linux

package demo

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/examples/internal/app"
	"anyloop/examples/internal/cloop"
)

// program is one C loop, what is the program's own in it, and core.
type program struct {
	l     cloop.Loop
	ticks int
	timer cloop.Timer   // its own timer,
	bell  cloop.Watcher // and its own descriptor: a pipe, to which signals are written
	read  int
	write int
	nest  bool
	eng   *core.Engine
	in    bool // core is in the loop
	ends  bool
}

// Main runs the program until SIGINT or SIGTERM; a second one cuts it off.
// SIGUSR1 takes core out of the loop, and into it again.
func Main(newLoop func() (cloop.Loop, error)) {
	addr := flag.String("addr", "localhost:7681", "address to listen on")
	every := flag.Duration("every", time.Second, "how often the program's own timer counts")
	nested := flag.Bool("nested", false, "one watcher in all, instead of one for each descriptor")
	flag.Parse()
	runtime.LockOSThread() // who turns a C loop stays on one thread
	l, err := newLoop()
	if err != nil {
		app.Fatal(err)
	}
	p := &program{l: l, nest: *nested}
	if err := p.own(*every); err != nil {
		app.Fatal(err)
	}
	if err := p.attach(*addr); err != nil {
		app.Fatal(err)
	}
	say("%s: http://%s/ - kill -USR1 %d takes it out of the loop, and back", p.eng.Backend().Name, p.eng.VHost("default").Addr(), os.Getpid())
	l.Run() // everything from here on happens in callbacks of the C library
	if err := l.Close(); err != nil {
		app.Fatal(err)
	}
	say("nothing is left in the loop")
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// own puts into the loop what is not core's.
func (p *program) own(every time.Duration) (err error) {
	p.timer = cloop.Every(p.l, every, func() {
		p.ticks++
		say("tick %d", p.ticks)
	})
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return err
	}
	p.read, p.write = fds[0], fds[1]
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1)
	go func() {
		for s := range signals {
			p.tell(byte(s.(syscall.Signal)))
		}
	}()
	p.bell, err = p.l.Watch(p.read, loop.In, func(loop.Events) { p.told() })
	return err
}

// ended is what is told beside numbers of signals.
const ended = 0

// tell makes the pipe readable. Any goroutine.
func (p *program) tell(what byte) { unix.Write(p.write, []byte{what}) }

// told is called by the C loop.
func (p *program) told() {
	var b [1]byte
	if n, _ := unix.Read(p.read, b[:]); n != 1 {
		return
	}
	switch {
	case b[0] == ended:
		p.timer.Close()
		p.bell.Close()
		p.l.Stop()
	case b[0] == byte(syscall.SIGUSR1):
		if !p.ends {
			p.toggle()
		}
	case p.ends:
		os.Exit(1)
	default:
		p.ends = true
		if !p.in {
			p.toggle() // an engine ends in a loop
		}
		p.eng.Stop(0)
	}
}

func (p *program) backend() loop.Backend {
	if p.nest {
		return cloop.Nested(p.l)
	}
	return cloop.Watching(p.l)
}

// attach makes an engine in the loop. This may also be done in a callback.
func (p *program) attach(addr string) (err error) {
	p.eng, err = core.New(core.Config{Backend: p.backend(), VHosts: []core.VHost{{Addr: addr, Protocols: []core.Protocol{{
		Name: "echo",
		HTTP: core.HTTPFunc(page),
		WS:   core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }),
	}}}}})
	if err != nil {
		return err
	}
	p.in = true
	go func() {
		<-p.eng.Done()
		p.tell(ended)
	}()
	return nil
}

// toggle takes core out of the loop, where its connections wait, or lets it in.
func (p *program) toggle() {
	if p.in {
		p.eng.Detach()
		say("detached")
	} else if err := p.eng.Attach(p.backend()); err != nil {
		app.Fatal(err)
	} else {
		say("attached")
	}
	p.in = !p.in
}

func page(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
	return w.Respond(200, core.Header{{Name: "content-type", Value: "text/html; charset=utf-8"}}, []byte(html))
}

const html = `<!doctype html>
<title>anyloop in a C loop</title>
<input placeholder="say something" autofocus> <pre></pre>
<script>
const ws = new WebSocket(location.href.replace(/^http/, "ws")), log = document.querySelector("pre")
ws.onmessage = e => log.prepend(e.data + "\n")
document.querySelector("input").onchange = e => { ws.send(e.target.value); e.target.value = "" }
</script>
`
