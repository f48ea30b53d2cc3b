package core_test

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/loops/poll"
)

// TestConfigErrorTexts: what is wrong with a configuration is told in one line, with one
// prefix, that names the vhost and the option.
func TestConfigErrorTexts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		vh   core.VHost
		want string // behind `core: vhost "default": `
		is   error
	}{
		{core.VHost{Protocols: []core.Protocol{{Name: "p"}}}, `protocol "p" has no handler`, nil},
		{core.VHost{Mounts: []core.Mount{{Path: "a"}}}, `mount "a" does not begin with a slash`, nil},
		{core.VHost{RawOnly: "p"}, `RawOnly "p": no such protocol on this vhost with Raw`, core.ErrUnknownProtocol},
		{core.VHost{Deflate: &core.Deflate{WindowBits: 7}}, `Deflate: a window of 7 bits; it has 8 to 15`, nil},
		{core.VHost{Origins: []string{"*"}}, `Origins: "*" is none; AnyOrigin lets all pages in`, nil},
		{core.VHost{TLS: &core.TLS{}}, `TLS: exactly one of CertFile, Cert, Config and Load names the certificate; there are 0`, nil},
		{core.VHost{TLS: &core.TLS{CertFile: "/none"}}, `TLS: open /none: no such file or directory`, fs.ErrNotExist},
		{core.VHost{TLS: &core.TLS{Config: &tls.Config{}}}, `TLS: the Config has no certificate`, nil},
		{core.VHost{TLS: &core.TLS{HSTS: time.Millisecond}}, `TLS: HSTS 1ms: it is 0, or at least a second`, nil},
		{core.VHost{ClientTLS: &core.ClientTLS{RootCAFile: "/none"}}, `ClientTLS: RootCAFile: open /none: no such file or directory`, fs.ErrNotExist},
		{core.VHost{ClientTLS: &core.ClientTLS{KeyFile: "/none"}}, `ClientTLS: there is a KeyFile without a CertFile`, nil},
		{core.VHost{Addr: ":0", BindInterface: true}, `BindInterface needs Interface`, nil},
		{core.VHost{Addr: "unix:/tmp/x", Family: core.IPv4Only}, `address unix:/tmp/x: Interface, Family and FastOpen are not for unix sockets`, nil},
		{core.VHost{Addr: "no port"}, `listen "no port": address no port: missing port in address`, nil},
		{core.VHost{Addr: taken.Addr().String()}, `listen tcp ` + taken.Addr().String() + `: bind: address already in use`, syscall.EADDRINUSE},
	} {
		_, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{c.vh}})
		if want := `core: vhost "default": ` + c.want; err == nil || err.Error() != want || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	k := sim.New(sim.Options{})
	if _, err := core.New(core.Config{Backend: k, VHosts: []core.VHost{{Addr: "host:80", Backlog: 1}}}); err == nil ||
		err.Error() != `core: vhost "default": backend `+k.Info().Name+` has a kernel that listens on an Addr without further options` {
		t.Errorf("a kernel of one's own: %v", err)
	}
	if _, err := core.New(core.Config{Backend: k, KeepAlive: core.KeepAlive{Idle: time.Second}}); err == nil || err.Error() != "core: KeepAlive.Idle needs Interval and Probes" {
		t.Errorf("KeepAlive: %v", err)
	}
}
