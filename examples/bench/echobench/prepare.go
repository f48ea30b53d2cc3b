//go:build linux

package echobench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/internal/report"
)

// chooseCores gives the servers a core and the loads another, which are likely not to
// be two halves of one.
func (b *bench) chooseCores() error {
	cores, err := proc.Cores()
	if err != nil {
		return err
	}
	b.serverCore, b.loadCore = cores[0], cores[len(cores)-1]
	if len(cores) == 1 {
		fmt.Fprintln(b.progress, "there is one core only: servers and loads share it, and latencies say nothing")
	}
	return nil
}

// root returns the folder of the library.
func root() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "anyloop").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w (run it inside examples/bench)", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// built returns the program of an example, which it builds as users do.
func (b *bench) built(example string) (string, error) {
	if p := b.programs[example]; p != "" {
		return p, nil
	}
	dir, err := root()
	if err != nil {
		return "", err
	}
	to := filepath.Join(b.dir, example)
	cmd := exec.Command("go", "build", "-o", to, "-buildvcs=false", "-tags", setting("-tags"), "./examples/"+example)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./examples/%s: %w\n%s", example, err, out)
	}
	b.programs[example] = to
	return to, nil
}

// setting returns one of those that this program was built with.
func setting(key string) string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
	}
	return ""
}

// given is the flag -example.
func (b *bench) given(s string) error {
	name, file, ok := strings.Cut(s, "=")
	if !ok || name != "echo" && name != "server" {
		return errors.New("use echo=FILE or server=FILE")
	}
	b.programs[name] = file
	return nil
}

// extra is the flag -extra.
func (b *bench) extra(s string) error {
	name, command, ok := strings.Cut(s, "=")
	words := strings.Fields(command)
	if !ok || name == "" || len(words) == 0 {
		return errors.New("use NAME=COMMAND")
	}
	start := func(b *bench, _ *row, addr string) (process, error) {
		args := slices.Clone(words[1:])
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "%a", addr)
		}
		return proc.Run(b.serverCore, words[0], args...)
	}
	b.servers = append(b.servers, server{name: name, kinds: append(files, webSocket...), start: start})
	return nil
}

// machine says where this is.
func (b *bench) machine() report.Machine {
	cores, _ := proc.Cores()
	m := report.Machine{CPU: "unknown CPU", Cores: len(cores), ServerCore: b.serverCore, LoadCore: b.loadCore, Arch: runtime.GOARCH}
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			m.CPU = strings.TrimSpace(v)
			break
		}
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	return m
}

// versions says what of each server takes part.
func (b *bench) versions(p plan) map[string]string {
	v := map[string]string{"go": strings.TrimPrefix(runtime.Version(), "go"), "anyloop": revision()}
	if lws := lwsVersion(); lws != "" {
		v["libwebsockets"] = lws
	}
	of := map[string]string{}
	if info, _ := debug.ReadBuildInfo(); info != nil {
		for _, d := range info.Deps {
			of[d.Path] = d.Version
		}
	}
	for _, s := range p {
		for _, name := range append(s.servers, s.reference) {
			if srv, err := b.find(name); err == nil && of[srv.module] != "" {
				v[srv.module] = of[srv.module]
			}
		}
	}
	return v
}

// revision is the commit of the library, if git can tell.
func revision() string {
	dir, err := root()
	if err != nil {
		return "of an unknown revision"
	}
	out, err := exec.Command("git", "-C", dir, "describe", "--always", "--dirty").Output()
	if err != nil {
		return "of an unknown revision"
	}
	return strings.TrimSpace(string(out))
}
