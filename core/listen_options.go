package core

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"anyloop/core/sys"
)

// Family says which internet protocol a TCP listener serves.
type Family uint8

// The families. An Addr without an address, like ":80", gets one socket for both
// by default (IPv4 alone on systems that have no such socket), and "localhost" and
// an Interface one socket for each address. With IPv4Only or IPv6Only there is no
// other traffic on the socket, so that two vhosts can divide a port between them.
const (
	BothFamilies Family = iota
	IPv4Only
	IPv6Only
)

// listenKey is what vhosts have in common that share a socket.
type listenKey struct {
	Addr      string
	Interface string `json:",omitempty"`
	Bound     bool   `json:",omitempty"`
	Family    Family `json:",omitempty"`
}

func (vh *VHost) listenKey() listenKey {
	return listenKey{vh.Addr, vh.Interface, vh.BindInterface, vh.Family}
}

// ephemeral: each asks for a port of its own.
func (k *listenKey) ephemeral() bool { return k.tcp() && strings.HasSuffix(k.Addr, ":0") }

func (k *listenKey) tcp() bool { return !strings.HasPrefix(k.Addr, "unix:") }

// network splits the address into network and address.
func (k *listenKey) network() (network, addr string) {
	if path, ok := strings.CutPrefix(k.Addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", k.Addr
}

// plainListen reports whether Addr says all.
func (vh *VHost) plainListen() bool {
	return vh.Interface == "" && !vh.BindInterface && vh.Family == 0 && vh.Backlog == 0 &&
		vh.FastOpen == 0 && vh.UnixMode == 0 && vh.UnixOwner == ""
}

// checkListen finds options that contradict each other.
func (vh *VHost) checkListen() error {
	key := vh.listenKey()
	switch {
	case vh.Listener != nil && (!vh.plainListen() || vh.BindLater):
		return errors.New("a Listener is as it is: the options of listening are for Addr")
	case vh.Listener != nil:
		return nil
	case vh.BindInterface && vh.Interface == "":
		return errors.New("BindInterface needs Interface")
	case vh.Family > IPv6Only:
		return fmt.Errorf("there is no Family %d", vh.Family)
	case vh.Backlog < 0 || vh.FastOpen < 0:
		return errors.New("a negative Backlog or FastOpen")
	case key.tcp() && (vh.UnixMode != 0 || vh.UnixOwner != ""):
		return fmt.Errorf("address %s: UnixMode and UnixOwner are for unix sockets", vh.Addr)
	case !key.tcp() && (vh.Interface != "" || vh.Family != 0 || vh.FastOpen != 0):
		return fmt.Errorf("address %s: Interface, Family and FastOpen are not for unix sockets", vh.Addr)
	}
	return nil
}

func (vh *VHost) listenOptions() sys.ListenOptions {
	key := vh.listenKey()
	network, addr := key.network()
	return sys.ListenOptions{
		Network: network, Address: addr,
		Family: sys.Family(vh.Family), Interface: vh.Interface, BindInterface: vh.BindInterface,
		Backlog: vh.Backlog, FastOpen: vh.FastOpen, UnixMode: vh.UnixMode, UnixOwner: vh.UnixOwner,
	}
}

// openSockets are the listening sockets of one site.
type openSockets struct {
	Key   listenKey
	FDs   [][]int // for each thread that listens
	Bound string
	Path  sys.FileID // of a unix socket
}

// openListening opens sets of sockets on one address, each for a thread.
func openListening(key listenKey, o sys.ListenOptions, sets int) (*openSockets, error) {
	s := &openSockets{Key: key}
	o.ReusePort = sets > 1
	for range sets {
		fds, bound, err := sys.ListenAll(o)
		if err != nil {
			s.close()
			return nil, err
		}
		s.FDs = append(s.FDs, fds)
		if s.Bound != "" {
			continue
		}
		s.Bound = bound
		if o.Network == "unix" {
			s.Bound = key.Addr
			s.Path = sys.PathID(o.Address)
		} else if key.ephemeral() { // the others get the port of the first
			host, _, _ := net.SplitHostPort(o.Address)
			_, port, _ := net.SplitHostPort(bound)
			o.Address = net.JoinHostPort(host, port)
		}
	}
	return s, nil
}

// close gives up sockets that no engine has.
func (s *openSockets) close() {
	var io sys.IO
	network, path := s.Key.network()
	if network == "unix" {
		_ = sys.RemovePath(path, s.Path)
	}
	for _, fds := range s.FDs {
		for _, fd := range fds {
			io.Close(fd)
		}
	}
}

// sets is how many threads of n listen on the address by themselves.
func (c *Config) sets(key *listenKey, n int) int {
	if c.ReusePort && key.tcp() {
		return n
	}
	return 1
}

// inheritance are listening sockets that were opened before the privileges were
// dropped, until their vhosts come.
type inheritance struct {
	mu    sync.Mutex
	socks []*openSockets
}

// take returns the sockets of an address, nil if there are none.
func (i *inheritance) take(key listenKey) *openSockets {
	if i == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for n, s := range i.socks {
		if s.Key == key {
			i.socks = append(i.socks[:n:n], i.socks[n+1:]...)
			return s
		}
	}
	return nil
}

// rest takes all that nobody has asked for.
func (i *inheritance) rest() []*openSockets {
	if i == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	rest := i.socks
	i.socks = nil
	return rest
}
