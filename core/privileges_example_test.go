package core_test

import (
	"context"
	"log"
	"log/slog"

	"anyloop/core"
	"anyloop/loops/poll"
)

// A server that is started as root, opens ports 80 and 443 and reads the key of
// its certificate, and then goes on as www-data.
func ExamplePrivileges_Drop() {
	cfg := core.Config{
		Backend: poll.Backend(),
		Log:     slog.Default(),
		VHosts: []core.VHost{
			{Name: "plain", Addr: ":80"},
			{Name: "secure", Addr: ":443"},
		},
	}
	files, err := core.Privileges{User: "www-data", Files: []string{"/etc/server/cert.pem", "/etc/server/key.pem"}}.Drop(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	// From here on the program is www-data, and has everything that it needs.
	for i := range cfg.VHosts {
		cfg.VHosts[i].Protocols = []core.Protocol{echoProtocol()}
	}
	cfg.VHosts[1].TLS = &core.TLS{Cert: files["/etc/server/cert.pem"], Key: files["/etc/server/key.pem"]}
	eng, err := core.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(eng.Run(context.Background()))
}
