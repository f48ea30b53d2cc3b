package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// left is what the program with privileges leaves to the one without. It goes
// through a sealed file without a name, whose descriptor an environment variable
// tells, together with the process that it is for: what a third program finds in
// its environment is not for it.
type left struct {
	Sockets []*openSockets
	Files   map[string][]byte
	Name    string // of the process
}

const (
	leftVar  = "ANYLOOP_LEFT" // "process.descriptor"
	ownImage = "/proc/self/exe"
	ownName  = "/proc/self/comm"
)

// leave opens what cfg listens on, reads the files, and starts the program again.
// It returns only on an error.
func (p *Privileges) leave(cfg *Config, id sys.Identity) (err error) {
	l := &left{}
	if l.Files, err = p.readFiles(); err != nil {
		return err
	}
	defer l.close()
	for i := range cfg.VHosts {
		if err := l.open(cfg, &cfg.VHosts[i]); err != nil {
			return fmt.Errorf("core: vhost %q: %w", cfg.VHosts[i].Name, err)
		}
	}
	if name, err := os.ReadFile(ownName); err == nil {
		l.Name = strings.TrimSuffix(string(name), "\n")
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	fd, err := sys.Memory(text)
	if err != nil {
		return fmt.Errorf("core: %w", err)
	}
	defer new(sys.IO).Close(fd)
	env := append(os.Environ(), fmt.Sprintf("%s=%d.%d", leftVar, os.Getpid(), fd))
	err = sys.ExecAs(id, ownImage, os.Args, env, append(l.descriptors(), fd))
	return fmt.Errorf("core: dropping privileges: %w", err)
}

// open opens the sockets of a vhost, unless those of another will do.
func (l *left) open(cfg *Config, vh *VHost) error {
	key := vh.listenKey()
	if _, ok := cfg.Backend.(loop.Acceptor); ok {
		return errors.New("a backend that listens by itself cannot be given listening sockets")
	}
	if vh.Listener != nil {
		return errors.New("a Listener cannot be taken along when privileges are dropped; Addr can")
	}
	if vh.Addr == "" {
		return nil
	}
	if err := vh.checkListen(); err != nil {
		return err
	}
	for _, s := range l.Sockets {
		if s.Key == key && !key.ephemeral() {
			return nil
		}
	}
	s, err := openListening(key, vh.listenOptions(), cfg.sets(&key, cfg.threadCount()))
	if vh.BindLater && sys.Absent(err) {
		return nil
	}
	if err == nil {
		l.Sockets = append(l.Sockets, s)
	}
	return err
}

func (l *left) descriptors() (fds []int) {
	for _, s := range l.Sockets {
		for _, set := range s.FDs {
			fds = append(fds, set...)
		}
	}
	return fds
}

func (l *left) close() {
	for _, s := range l.Sockets {
		s.close()
	}
}

// closeUnclaimed closes what was left for vhosts that New was not asked for.
func (e *Engine) closeUnclaimed() {
	for _, s := range e.cfg.inherited.rest() {
		e.log.Warn("no vhost wants a listening socket that was opened for one", "addr", s.Bound)
		s.close()
	}
}

// takeLeft returns what was left to this process, once; nil if nothing was.
func takeLeft() (*left, error) {
	v, ok := os.LookupEnv(leftVar)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(leftVar)
	pid, desc, _ := strings.Cut(v, ".")
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	fd, err := strconv.Atoi(desc)
	if err != nil {
		return nil, err
	}
	text, err := sys.TakeMemory(fd)
	if err != nil {
		return nil, err
	}
	l := &left{}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, err
	}
	clear(text) // it may be a key
	for _, fd := range l.descriptors() {
		if err := sys.CloseOnExec(fd); err != nil {
			return nil, fmt.Errorf("socket %d: %w", fd, err)
		}
	}
	// The system has named the process after ownImage. It is only a name.
	_ = os.WriteFile(ownName, []byte(l.Name), 0)
	return l, nil
}
