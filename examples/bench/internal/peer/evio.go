//go:build linux

package peer

import "github.com/tidwall/evio"

// bareevio is the bare engine: what is read is written.
func init() {
	servers["bareevio"] = func(c *Config) error {
		return evio.Serve(evio.Events{
			NumLoops: 1,
			Opened: func(evio.Conn) ([]byte, evio.Options, evio.Action) {
				return nil, evio.Options{ReuseInputBuffer: true}, evio.None
			},
			Data: func(_ evio.Conn, in []byte) ([]byte, evio.Action) { return in, evio.None },
		}, "tcp4://"+c.Addr)
	}
}
