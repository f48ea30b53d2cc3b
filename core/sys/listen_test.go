//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// loopback is the name of the loopback interface.
func loopback(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0 {
			return i.Name
		}
	}
	t.Skip("there is no loopback interface")
	return ""
}

func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// listenFor opens the sockets of o, closes them at the test's end, and returns
// what they are bound to.
func listenFor(t *testing.T, o ListenOptions) (fds []int, names []string) {
	t.Helper()
	if o.Network == "" {
		o.Network = "tcp"
	}
	fds, bound, err := ListenAll(o)
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	port := ""
	for _, fd := range fds {
		t.Cleanup(func() { unix.Close(fd) })
		sa, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		name := ""
		switch s := sa.(type) {
		case *unix.SockaddrInet4:
			name = net.IP(s.Addr[:]).String()
		case *unix.SockaddrInet6:
			name = net.IP(s.Addr[:]).String()
		}
		names = append(names, name)
		p := strconv.Itoa(int(addrOf(sa).AddrPort().Port()))
		if port == "" {
			port = p
		}
		if p != port || !strings.HasSuffix(bound, ":"+port) {
			t.Errorf("%+v: port %s, the first has %s, bound is %s", o, p, port, bound)
		}
	}
	return fds, names
}

func TestListenFamilies(t *testing.T) {
	if !hasIPv6() {
		t.Skip("no IPv6 here")
	}
	lo := loopback(t)
	for _, tt := range []struct {
		o    ListenOptions
		want string
	}{
		{ListenOptions{Address: ":0", Family: IPv4}, "0.0.0.0"},
		{ListenOptions{Address: ":0", Family: IPv6}, "::"},
		{ListenOptions{Address: "localhost:0"}, "127.0.0.1 ::1"},
		{ListenOptions{Address: "localhost:0", Family: IPv4}, "127.0.0.1"},
		{ListenOptions{Address: "LocalHost:0", Family: IPv6}, "::1"},
		{ListenOptions{Address: "127.0.0.1:0", Family: IPv4}, "127.0.0.1"},
		{ListenOptions{Address: "[::1]:0"}, "::1"},
		{ListenOptions{Address: ":0", Interface: lo, Family: IPv4}, "127.0.0.1"},
		{ListenOptions{Address: "127.0.0.1:0", Interface: lo}, "127.0.0.1"},
		{ListenOptions{Address: "[::1]:0", Interface: lo}, "::1"},
		{ListenOptions{Address: "localhost:0", Interface: lo, Family: IPv6}, "::1"},
		{ListenOptions{Address: "0.0.0.0:0", Interface: lo}, "127.0.0.1"},
	} {
		if _, names := listenFor(t, tt.o); strings.Join(names, " ") != tt.want {
			t.Errorf("%+v listens on %v, want %s", tt.o, names, tt.want)
		}
	}
	if _, names := listenFor(t, ListenOptions{Address: ":0", Interface: lo}); !slices.Contains(names, "127.0.0.1") || !slices.Contains(names, "::1") {
		t.Errorf("interface %s: %v", lo, names)
	}
}

// TestIPv6OnlyLeavesIPv4Alone: two sockets divide a port.
func TestIPv6OnlyLeavesIPv4Alone(t *testing.T) {
	if !hasIPv6() {
		t.Skip("no IPv6 here")
	}
	port := ""
	for try := 0; ; try++ {
		fds, _ := listenFor(t, ListenOptions{Address: ":0", Family: IPv6})
		if v, err := unix.GetsockoptInt(fds[0], unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); v == 0 || err != nil {
			t.Errorf("IPV6_V6ONLY is %d %v", v, err)
		}
		sa, _ := unix.Getsockname(fds[0])
		port = strconv.Itoa(sa.(*unix.SockaddrInet6).Port)
		four, _, err := ListenAll(ListenOptions{Network: "tcp", Address: ":" + port, Family: IPv4})
		if errors.Is(err, syscall.EADDRINUSE) && try < 50 {
			continue // it is some other program's, over IPv4
		}
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(four[0])
		break
	}
	if _, _, err := ListenAll(ListenOptions{Network: "tcp", Address: ":" + port, Family: IPv6}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second one: %v", err)
	}
}

func TestListenAbsent(t *testing.T) {
	lo := loopback(t)
	for _, tt := range []struct {
		o      ListenOptions
		absent bool
		text   string
	}{
		{ListenOptions{Address: ":0", Interface: "nosuch0"}, true, "nosuch0"},
		{ListenOptions{Address: "192.0.2.77:0"}, true, "192.0.2.77"},
		{ListenOptions{Address: "192.0.2.77:0", Interface: lo}, true, "192.0.2.77 is no address of it"},
		{ListenOptions{Address: "127.0.0.1:0", Interface: lo, Family: IPv6}, true, "no address of it"},
		{ListenOptions{Address: "name.invalid:0", Interface: lo}, false, "no IP address"},
		{ListenOptions{Address: ":0", BindInterface: true}, false, "no interface to bind to"},
		{ListenOptions{Address: "127.0.0.1:99999"}, false, "99999"},
		{ListenOptions{Address: "[::1]:0", Family: IPv4}, false, "::1"},
	} {
		tt.o.Network = "tcp"
		fds, _, err := ListenAll(tt.o)
		if err == nil || Absent(err) != tt.absent || !strings.Contains(err.Error(), tt.text) || fds != nil {
			t.Errorf("%+v: %v, absent is %v", tt.o, err, Absent(err))
		}
	}
}

func TestUnixSocketModeOwnerAndPath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	me, err := user.Current()
	if err != nil {
		t.Skip("no user here:", err)
	}
	o := ListenOptions{Network: "unix", Address: path, UnixMode: 0o600, UnixOwner: me.Uid + ":" + me.Gid, Backlog: 1}
	if os.Geteuid() == 0 {
		o.UnixOwner = ":54321"
	}
	fds, _, err := ListenAll(o)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&0o777 != 0o600 {
		t.Errorf("mode %o %v", st.Mode, err)
	}
	if os.Geteuid() == 0 && (st.Gid != 54321 || st.Uid != 0) {
		t.Errorf("belongs to %d:%d", st.Uid, st.Gid)
	}
	id := PathID(path)
	if err := os.Rename(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(path, []byte("somebody else's"), 0o600)
	if err := RemovePath(path, id); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a file that is not ours was removed: %v", err)
	}
	// What is no socket is left alone, and so is nothing left of a failure.
	if _, _, err := ListenAll(o); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a file is in the way: %v", err)
	}
	if err := RemovePath(path+"2", id); err != nil || PathID(path+"2") != (FileID{}) {
		t.Errorf("ours is still there: %v", err)
	}
	unix.Close(fds[0])
	o.Address, o.UnixOwner = filepath.Join(dir, "t"), "no such user"
	if _, _, err := ListenAll(o); err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("unknown owner: %v", err)
	}
	if PathID(o.Address) != (FileID{}) {
		t.Error("the path of a socket that failed is still there")
	}
}

func TestOwnerIDs(t *testing.T) {
	for owner, want := range map[string][2]int{"12:34": {12, 34}, "12": {12, -1}, ":34": {-1, 34}, "root:": {0, -1}, "": {-1, -1}} {
		if uid, gid, err := ownerIDs(owner); uid != want[0] || gid != want[1] || err != nil {
			t.Errorf("%q: %d %d %v", owner, uid, gid, err)
		}
	}
	for _, owner := range []string{"nobody at all", ":no such group"} {
		if _, _, err := ownerIDs(owner); err == nil {
			t.Errorf("%q is somebody", owner)
		}
	}
}
