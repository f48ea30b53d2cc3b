//go:build linux

package echobench

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"anyloop/examples/bench/internal/plain"
	"anyloop/examples/bench/internal/proc"
)

// lwsSource is an echo server on libwebsockets. It is compiled when it is needed.
//
//go:embed lws/echo.c
var lwsSource []byte

const noLWS = "libwebsockets is left out: it takes cc, pkg-config and the headers of libwebsockets (Debian: libwebsockets-dev)"

// lwsVersion returns the version of libwebsockets, "" if it is not installed.
func lwsVersion() string {
	if _, err := exec.LookPath("cc"); err != nil {
		return ""
	}
	out, err := exec.Command("pkg-config", "--modversion", "libwebsockets").Output()
	if err != nil {
		return ""
	}
	return strings.TrimRight(strings.TrimSpace(string(out)), "-")
}

func startLWS(b *bench, r *row, addr string) (process, error) {
	path, err := b.builtLWS()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	receive := "65536"
	if r.memory {
		receive = "4096" // of each connection
	}
	args := []string{port, receive}
	switch r.work.Kind {
	case plain.Broadcast:
		args = append(args, "-broadcast")
	case plain.Get:
		args = append(args, b.www)
	}
	return proc.Run(b.serverCore, path, args...)
}

// builtLWS returns the compiled program.
func (b *bench) builtLWS() (string, error) {
	if p := b.programs["lws"]; p != "" {
		return p, nil
	}
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "libwebsockets").Output()
	if err != nil {
		return "", fmt.Errorf("pkg-config: %w", err)
	}
	source, to := filepath.Join(b.dir, "lws.c"), filepath.Join(b.dir, "lws")
	if err := os.WriteFile(source, lwsSource, 0o644); err != nil {
		return "", err
	}
	args := append([]string{"-O2", "-o", to, source}, strings.Fields(string(flags))...)
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cc: %w\n%s", err, out)
	}
	b.programs["lws"] = to
	return to, nil
}
