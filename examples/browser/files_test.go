package browser

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keepAlive is how long the server keeps a connection that says nothing.
const keepAlive = 5 * time.Second

// A browser asks for the files of a page over a few connections, one after the
// other. A connection that goes deaf after an answer costs a keep-alive limit
// for each file, which a patient page merely makes slow: so it is looked at here.
func TestBrowserFilesComeOverOneConnection(t *testing.T) {
	s := startServer(t)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: waitWithin}
	defer client.CloseIdleConnections()
	files, err := os.ReadDir(filepath.Join("..", "server", "www"))
	if err != nil {
		t.Fatal(err)
	}
	var last time.Time // before the last answer
	for i, file := range files {
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
		})
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(file.Name()), nil)
		if err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		checkFile(t, file.Name(), response, got)
		// Of a machine that stood still the connection may not have waited.
		if i > 0 && !reused && time.Since(last) < keepAlive {
			t.Fatalf("%s needed another connection", file.Name())
		}
		last = asked
	}
}

// checkFile compares an answer with the file it is to be, and sees that the
// page needs nobody else's files.
func checkFile(t *testing.T, name string, response *http.Response, got []byte) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("..", "server", "www", name))
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || string(got) != string(want) {
		t.Errorf("%s: %s, %d bytes, want the %d of the file", name, response.Status, len(got), len(want))
	}
	kind := map[string]string{
		".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
	}[filepath.Ext(name)]
	if media := response.Header.Get("Content-Type"); kind == "" || !strings.HasPrefix(media, kind) {
		t.Errorf("%s came as %q, want %q", name, media, kind)
	}
	for _, mark := range []string{`src="http`, `href="http`, `src="//`, `href="//`, "url(http", `url("http`, "@import", `from "http`} {
		if strings.Contains(string(want), mark) {
			t.Errorf("%s asks somebody else: it contains %s", name, mark)
		}
	}
}
