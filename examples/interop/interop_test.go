package interop

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"anyloop/examples/internal/try"
)

func TestInteropCurl(t *testing.T) {
	curl := try.Need(t, "curl", "curl")
	for _, loop := range loops {
		t.Run(loop, func(t *testing.T) {
			base := "http://" + start(t, "server", "-loop", loop, "-log", "warn")
			page := output(t, "", nil, curl, "-sS", "-i", "--max-time", "50", base+"/")
			for _, want := range []string{"HTTP/1.1 200 OK", "content-type: text/html", "etag:", "<canvas"} {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q:\n%.600s", want, page)
				}
			}
			head := output(t, "", nil, curl, "-sS", "-I", "--max-time", "50", base+"/")
			if !strings.Contains(head, "200 OK") || strings.Contains(head, "<canvas") {
				t.Errorf("HEAD: %s", head)
			}
			for url, want := range map[string]string{
				"/nope":                     "404",
				"/../../etc/passwd":         "404",
				"/%2e%2e/%2e%2e/etc/shadow": "404",
				"/%":                        "403",
			} {
				got := output(t, "", nil, curl, "-sS", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "50", base+url)
				if got != want {
					t.Errorf("%s: status %s, want %s", url, got, want)
				}
			}
			// Eight requests over one connection.
			args := []string{curl, "-sS", "--max-time", "50", "-w", "%{num_connects} "}
			for range 8 {
				args = append(args, "-o", "/dev/null", base+"/")
			}
			if got := output(t, "", nil, args...); got != "1 0 0 0 0 0 0 0 " {
				t.Errorf("connections made by each of 8 requests: %.100q", got)
			}
		})
	}
}

func TestInteropLibwebsocketsClient(t *testing.T) {
	client := try.Need(t, "libwebsockets-test-client", "libwebsockets-test-server")
	for _, loop := range loops {
		t.Run(loop, func(t *testing.T) {
			host, port, err := net.SplitHostPort(start(t, "server", "-loop", loop, "-log", "warn"))
			if err != nil {
				t.Fatal(err)
			}
			// It opens dumb-increment and mirror, and prints what comes in.
			until(t, []string{"rx 1 '2'", "rx 2 '10'"}, client, host, "--port="+port, "-d", "1039") // 1039: with the lines that show what was received
		})
	}
}

// python returns an interpreter that has websockets.
func python(t *testing.T) string {
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if path, err := exec.LookPath(p); err == nil {
			if exec.Command(path, "-c", "import websockets").Run() == nil {
				return path
			}
		}
	}
	missing(t, "no python3 with websockets (package python3-websockets)")
	return ""
}

func TestInteropPythonWebsockets(t *testing.T) {
	py := python(t)
	for _, loop := range loops {
		t.Run(loop, func(t *testing.T) {
			addr := start(t, "echo", "-loop", loop)
			if got := output(t, "", nil, py, "testdata/echo.py", "ws://"+addr+"/any/path"); strings.TrimSpace(got) != "ok" {
				t.Error(got)
			}
		})
	}
}

// nodeWS returns Node, and where its ws is.
func nodeWS(t *testing.T) (node, modules string) {
	node = try.Need(t, "node", "nodejs")
	modules = os.Getenv("ANYLOOP_NODE_MODULES")
	if _, err := os.Stat(filepath.Join(modules, "ws")); modules == "" || err != nil {
		missing(t, "Node's ws is not installed (npm install ws, and ANYLOOP_NODE_MODULES)")
	}
	return node, modules
}

func TestInteropNodeWS(t *testing.T) {
	node, modules := nodeWS(t)
	for _, loop := range loops {
		t.Run(loop, func(t *testing.T) {
			addr := start(t, "echo", "-loop", loop)
			got := output(t, "", []string{"NODE_PATH=" + modules}, node, "testdata/echo.js", "ws://"+addr+"/any/path")
			if strings.TrimSpace(got) != "ok" {
				t.Error(got)
			}
		})
	}
}

// TestHelloIsTheReadmes: the program in the README is examples/hello, byte for
// byte, and shorter than 25 lines.
func TestHelloIsTheReadmes(t *testing.T) {
	hello, err := os.ReadFile("../hello/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(hello), "\n"); n >= 25 {
		t.Errorf("examples/hello has %d lines", n)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(hello)+"```") {
		t.Error("README.md does not show examples/hello/main.go as it is")
	}
}
