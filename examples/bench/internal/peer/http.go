//go:build linux

package peer

import (
	"net/http"

	"github.com/valyala/fasthttp"
)

// Both serve files by what their library has for that.
func init() {
	servers["nethttp"] = func(c *Config) error {
		return http.ListenAndServe(c.Addr, http.FileServer(http.Dir(c.Dir)))
	}
	servers["fasthttp"] = func(c *Config) error {
		files := &fasthttp.FS{Root: c.Dir, AcceptByteRange: true}
		return (&fasthttp.Server{Handler: files.NewRequestHandler()}).ListenAndServe(c.Addr)
	}
}
