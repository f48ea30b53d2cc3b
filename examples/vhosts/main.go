// Vhosts has several names on one port, each with a certificate of its own, and reads
// the certificates anew on SIGHUP, while connections stay as they are.
//
//	go run ./examples/vhosts
//
// makes certificates for a.localhost and b.localhost that nobody trusts, and others
// on each SIGHUP. Ask for either name:
//
//	openssl s_client -connect localhost:7443 -servername b.localhost </dev/null | openssl x509 -noout -subject -dates
//	curl -k https://a.localhost:7443/
//
// With certificates from files, each PEM; without a comma the key is in the same one:
//
//	go run ./examples/vhosts -cert a.example=a.pem,a.key -cert '*.b.example=b.pem'
//	curl --resolve x.b.example:7443:127.0.0.1 --cacert ca.pem https://x.b.example:7443/
//
// Put a new file in the place of an old one (mv is good for it), and:
//
//	kill -HUP $(pgrep vhosts)
//
// A file that is broken or missing then changes nothing; the log says why.
package main

import (
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"html"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/examples/internal/app"
)

//go:embed www/index.html
var page string

// host is a name, and where its certificate is: nowhere without files.
type host struct{ name, certFile, keyFile string }

func main() {
	addr := flag.String("addr", "localhost:7443", "address to listen on")
	loopName := flag.String("loop", "poll", "event loop: "+app.Loops())
	threads := flag.Int("threads", 1, "service threads")
	hosts := certFlag()
	dir := flag.String("www", "", "folder to serve below /files/ of each name; empty: none")
	logLevel := flag.String("log", "info", "debug, info, warn, error or off")
	flag.Parse()
	if len(*hosts) == 0 {
		*hosts = []host{{name: "a.localhost"}, {name: "b.localhost"}}
	}
	if err := run(*addr, *loopName, *threads, *hosts, *dir, *logLevel); err != nil {
		app.Fatal(err)
	}
}

// certFlag declares -cert.
func certFlag() *[]host {
	var hosts []host
	flag.Func("cert", "a name and its certificate and key, 'name=cert.pem,key.pem'; may be repeated", func(s string) error {
		name, files, ok := strings.Cut(s, "=")
		cert, key, _ := strings.Cut(files, ",")
		if !ok || name == "" || cert == "" {
			return errors.New("use 'name=cert.pem,key.pem'")
		}
		hosts = append(hosts, host{name, cert, key})
		return nil
	})
	return &hosts
}

func run(addr, loopName string, threads int, hosts []host, dir, logLevel string) error {
	log, err := app.Log(logLevel)
	if err != nil {
		return err
	}
	app.RaiseFileLimit()
	loop, err := app.NewHost(loopName, threads)
	if err != nil {
		return err
	}
	vhosts := make([]core.VHost, len(hosts))
	for i, h := range hosts {
		if vhosts[i], err = vhost(h, addr, dir); err != nil {
			return err
		}
	}
	eng, err := core.New(core.Config{Backend: loop.Backend, Threads: threads, Log: log, VHosts: vhosts[:1]})
	if err != nil {
		return err
	}
	if _, port, _ := net.SplitHostPort(addr); port == "0" {
		addr = eng.VHost(hosts[0].name).Addr() // a further 0 would be another port
	}
	for _, vh := range vhosts[1:] {
		vh.Addr = addr
		if _, err := eng.AddVHost(vh); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "vhosts: https://%s/ on %s\n", eng.VHost(hosts[0].name).Addr(), loop.Name)
	go reloadOnHangup(eng, hosts)
	return app.Serve(loop, eng)
}

// vhost is one name: a page that says it, and an echo that says it too.
func vhost(h host, addr, dir string) (core.VHost, error) {
	secure := &core.TLS{CertFile: h.certFile, KeyFile: h.keyFile}
	if h.certFile == "" {
		secure.Load = func(*core.VirtualHost) (*tls.Config, error) { return selfMade(h.name) }
	}
	body := []byte(strings.ReplaceAll(page, "NAME", html.EscapeString(h.name)))
	vh := core.VHost{
		Name: h.name,
		Addr: addr,
		TLS:  secure,
		Protocols: []core.Protocol{{
			Name: "echo",
			HTTP: core.HTTPFunc(func(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
				return w.Respond(200, core.Header{{Name: "content-type", Value: "text/html; charset=utf-8"}}, body)
			}),
			WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error {
				return out.Text(h.name + ": " + m.String())
			}),
		}},
	}
	if dir == "" {
		return vh, nil
	}
	files, err := mount.Dir("/files/", dir)
	vh.Mounts = []core.Mount{files}
	return vh, err
}

// selfMade is called when the vhost is made, and on each SIGHUP.
func selfMade(name string) (*tls.Config, error) {
	cert, key, err := app.SelfSigned(name)
	if err != nil {
		return nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(key)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: private}}}, err
}

// reloadOnHangup reads every certificate anew on SIGHUP. ReloadTLS may be called from
// any goroutine, and reading files belongs on none of the loops.
func reloadOnHangup(eng *core.Engine, hosts []host) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	for range hup {
		for _, h := range hosts {
			if err := eng.VHost(h.name).ReloadTLS(); err != nil {
				fmt.Fprintf(os.Stderr, "vhosts: %s keeps its certificate: %v\n", h.name, err)
				continue
			}
			fmt.Fprintf(os.Stderr, "vhosts: %s has read its certificate anew\n", h.name)
		}
	}
}
