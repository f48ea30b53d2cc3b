//go:build unix

package core

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"testing"

	"anyloop/loops/poll"
)

func TestIdentityByNamesAndNumbers_29(t *testing.T) {
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	g, err := user.LookupGroup("daemon")
	if err != nil {
		t.Skip(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	own, _ := strconv.Atoi(u.Gid)
	gid, _ := strconv.Atoi(g.Gid)
	for _, tt := range []struct {
		p        Privileges
		uid, gid int
	}{
		{Privileges{User: "nobody"}, uid, own},
		{Privileges{User: "nobody", UID: 7, Group: "daemon", GID: 8}, uid, gid}, // names win
		{Privileges{User: "nobody", GID: 8}, uid, 8},
		{Privileges{UID: uid}, uid, own},
		{Privileges{UID: 54321, GID: 8}, 54321, 8},
	} {
		id, err := tt.p.identity()
		if err != nil || id.UID != tt.uid || id.GID != tt.gid || !slices.Contains(id.Groups, tt.gid) {
			t.Errorf("%+v: %+v %v", tt.p, id, err)
		}
		if tt.gid != own && slices.Contains(id.Groups, own) {
			t.Errorf("%+v: the user's own group is still there: %v", tt.p, id.Groups)
		}
	}
}

// TestIdentityHasAllGroups: those that list the user as a member.
func TestIdentityHasAllGroups(t *testing.T) {
	text, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Skip(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Split(line, ":")
		if len(f) != 4 || f[3] == "" {
			continue
		}
		name, _, _ := strings.Cut(f[3], ",")
		u, err := user.Lookup(name)
		if err != nil || u.Uid == "0" {
			continue
		}
		id, err := (&Privileges{User: name}).identity()
		gid, _ := strconv.Atoi(f[2])
		own, _ := strconv.Atoi(u.Gid)
		if err != nil || !slices.Contains(id.Groups, gid) || !slices.Contains(id.Groups, own) {
			t.Errorf("%s is in %s and %s: %+v %v", name, f[0], u.Gid, id, err)
		}
		return
	}
	t.Skip("nobody here is a member of a further group")
}

// TestWhatWasLeftToOthersIsNotTaken: a program that this one starts may find the
// variable, but it was not for it.
func TestWhatWasLeftToOthersIsNotTaken(t *testing.T) {
	for v, fails := range map[string]bool{"": false, "1.5": false, "nonsense": false,
		strconv.Itoa(os.Getpid()) + ".x": true, strconv.Itoa(os.Getpid()) + ".1048576": true} {
		t.Setenv(leftVar, v)
		l, err := takeLeft()
		if l != nil || (err != nil) != fails {
			t.Errorf("%q: %v %v", v, l, err)
		}
		if _, there := os.LookupEnv(leftVar); there {
			t.Errorf("%q is still there", v)
		}
	}
}

// TestInheritedSocketsFindTheirVHosts: by all that makes an address, each once;
// what nobody wants is closed.
func TestInheritedSocketsFindTheirVHosts(t *testing.T) {
	open := func(key listenKey) *openSockets {
		t.Helper()
		vh := VHost{Addr: key.Addr, Family: key.Family}
		s, err := openListening(key, vh.listenOptions(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, two := open(listenKey{Addr: "127.0.0.1:0"}), open(listenKey{Addr: "127.0.0.1:0"})
	four, odd := open(listenKey{Addr: "localhost:0", Family: IPv4Only}), open(listenKey{Addr: ":0"})
	log := &bytes.Buffer{}
	vh := func(name, addr string, f Family) VHost {
		return VHost{Name: name, Addr: addr, Family: f, Protocols: []Protocol{{Name: "p", WS: OnMessage(
			func(*Conn, Message, *Outbox) error { return nil })}}}
	}
	eng, err := New(Config{Backend: poll.Backend(), Log: slog.New(slog.NewTextHandler(log, nil)),
		inherited: &inheritance{socks: []*openSockets{one, two, four, odd}},
		VHosts: []VHost{vh("a", "127.0.0.1:0", 0), vh("b", "127.0.0.1:0", 0), vh("c", "localhost:0", IPv4Only),
			vh("d", "localhost:0", 0)}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { eng.Stop(-1); eng.Shutdown(t.Context()) }()
	for name, s := range map[string]*openSockets{"a": one, "b": two, "c": four} {
		if got := eng.VHost(name).Addr(); got != s.Bound {
			t.Errorf("%s listens on %s, want %s", name, got, s.Bound)
		}
	}
	if eng.VHost("d").Addr() == four.Bound {
		t.Error("a vhost of both families has the socket of one")
	}
	if _, err := net.Dial("tcp", odd.Bound); err == nil || strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), odd.Bound) {
		t.Errorf("the socket that nobody wants: %v, logged %s", err, log)
	}
}
