// Rawfile is "tail -f" of a FIFO or a serial device into browsers: the descriptor
// is adopted into the engine, so that reading it and sending to WebSockets happen
// in one loop. When the slowest browser cannot take more, reading pauses, and the
// writer feels it; a browser that holds everybody up for too long is dropped.
//
//	go run ./examples/rawfile -file /tmp/fifo -create
//	echo hello > /tmp/fifo        # and open http://localhost:7684/
package main

import (
	"embed"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/examples/internal/app"
)

//go:embed www
var www embed.FS

func main() {
	addr := flag.String("addr", "localhost:7684", "address of the page")
	file := flag.String("file", "", "FIFO or device to read")
	create := flag.Bool("create", false, "make the FIFO if it is missing")
	lag := flag.Duration("lag", 3*time.Second, "how long a browser may hold the others up")
	loopName := flag.String("loop", "poll", "event loop: "+app.Loops())
	flag.Parse()
	if err := run(*addr, *file, *create, *lag, *loopName); err != nil {
		app.Fatal(err)
	}
}

func run(addr, file string, create bool, lag time.Duration, loopName string) error {
	fd, err := openFile(file, create)
	if err != nil {
		return err
	}
	host, err := app.NewHost(loopName, 1)
	if err != nil {
		return err
	}
	files, err := fs.Sub(www, "www")
	if err != nil {
		return err
	}
	t := &tail{fd: fd, lag: lag, pages: map[*page]struct{}{}}
	eng, err := core.New(core.Config{Backend: host.Backend, VHosts: []core.VHost{{
		Name:   "tail",
		Addr:   addr,
		Mounts: []core.Mount{mount.Files("/", files)},
		Protocols: []core.Protocol{
			{Name: "tail", WS: t.join, File: func(*core.Conn) core.FileHandler { return t }, Init: t.adopt},
		},
	}}})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "tail: %s on http://%s/\n", file, eng.VHost("tail").Addr())
	return app.Serve(host, eng)
}

// openFile opens without blocking; read and write, so that a FIFO's writers may
// come and go without an end of the stream.
func openFile(name string, create bool) (int, error) {
	if name == "" {
		return -1, fmt.Errorf("-file is missing")
	}
	if create {
		if err := unix.Mkfifo(name, 0o600); err != nil && err != unix.EEXIST {
			return -1, fmt.Errorf("%s: %w", name, err)
		}
	}
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFREG {
		unix.Close(fd)
		return -1, fmt.Errorf("%s: no loop can wait for a regular file to grow; have tail -f write it to a FIFO", name)
	}
	return fd, nil
}
