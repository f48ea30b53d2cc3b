package anyloop_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// bands is the order of the layers: a package imports only what is below it.
// The longest prefix that fits a package decides.
var bands = []struct {
	prefix string
	band   int
}{
	{"core/buf", 1}, {"core/fds", 1}, {"core/header", 1}, {"core/timer", 1}, {"core/flate", 1}, {"core/loop", 1}, {"core/sys", 1},
	{"core/h1", 2}, {"core/h2", 2}, {"core/ws", 2}, {"core/deflate", 2}, {"core/tlsio", 2}, {"core/socks", 2},
	{"core", 3},
	{"core/mount", 4}, {"core/cgi", 4}, {"core/proxy", 4}, {"core/nethttp", 4}, {"core/metrics", 4},
	{"loops", 5}, {"extpoll", 5}, {"examples", 5},
	// Test support: it drives the whole of core over a loop.
	{"core/loop/looptest", 5}, {"core/ws/wstest", 5},
}

// sameBand are the imports inside a band that the design allows.
var sameBand = [][2]string{
	{"loops/gnet", "loops/poll"}, {"loops/evio", "loops/poll"},
	{"loops/gnet/engine", "loops/poll"},
	{"extpoll", "loops/external"}, {"loops/external", "extpoll"},
	{"core/loop/sim", "core/loop"}, // the simulator implements the contract
	{"core/loop/looptest/mutants", "core/loop/looptest"},
	{"core/loop/looptest", "core/loop/looptest/client"},
	{"core/loop/looptest/e2e", "core/loop/looptest/client"},
}

// pure packages take bytes and time as arguments: nothing of the world.
var pure = []string{"core/header", "core/timer", "core/h1", "core/ws", "core/loop", "core/flate", "core/deflate", "core/socks"}

var impure = []string{"net", "os", "os/exec", "syscall", "sync", "unsafe", "golang.org/x/sys/unix", "math/rand", "math/rand/v2"}

func bandOf(pkg string) int {
	best, band := -1, 0
	for _, b := range bands {
		if (pkg == b.prefix || strings.HasPrefix(pkg, b.prefix+"/")) && len(b.prefix) > best {
			best, band = len(b.prefix), b.band
		}
	}
	return band
}

// imports maps each package of the module to what its non-test files import.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
				return filepath.SkipDir
			}
			if p != "." {
				if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
					return filepath.SkipDir // a module of its own
				}
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(p))
		if all[dir] == nil {
			all[dir] = []string{}
		}
		for _, im := range f.Imports {
			s, err := strconv.Unquote(im.Path.Value)
			if err != nil {
				return err
			}
			all[dir] = append(all[dir], s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestImportsGoDownwards(t *testing.T) {
	all := imports(t)
	if len(all) < 8 {
		t.Fatalf("only %d packages found", len(all))
	}
	for pkg, ims := range all {
		mine := bandOf(pkg)
		if mine == 0 && pkg != "." {
			t.Errorf("%s is in no band", pkg)
		}
		for _, im := range ims {
			to, ok := strings.CutPrefix(im, "anyloop/")
			if !ok {
				continue
			}
			if strings.HasPrefix(pkg, "examples/") && (strings.HasPrefix(to, "loops/") || to == "extpoll" || strings.HasPrefix(to, "examples/") || strings.HasPrefix(to, "core/loop/looptest")) {
				continue // programs stand on everything
			}
			if slices.Contains(sameBand, [2]string{pkg, to}) {
				continue
			}
			if bandOf(to) >= mine {
				t.Errorf("%s (band %d) imports %s (band %d)", pkg, mine, to, bandOf(to))
			}
		}
	}
}

func TestPurePackagesTouchNothing(t *testing.T) {
	all := imports(t)
	for _, pkg := range pure {
		if all[pkg] == nil {
			t.Errorf("%s not found", pkg)
		}
		for _, im := range all[pkg] {
			if slices.Contains(impure, im) {
				t.Errorf("%s imports %s", pkg, im)
			}
		}
	}
}

// TestDependencies holds the rule of the design: core needs x/sys in core/sys
// and core/loop only, and nothing else but x/net's hpack.
func TestDependencies(t *testing.T) {
	for pkg, ims := range imports(t) {
		for _, im := range ims {
			if !strings.Contains(strings.SplitN(im, "/", 2)[0], ".") {
				continue // standard library or ours
			}
			switch {
			case strings.HasPrefix(pkg, "examples/"), strings.HasPrefix(pkg, "loops/"), pkg == "extpoll":
			case im == "golang.org/x/sys/unix" && (pkg == "core/sys" || strings.HasPrefix(pkg, "core/loop")):
			case im == "golang.org/x/net/http2/hpack":
			default:
				t.Errorf("%s imports %s", pkg, im)
			}
		}
	}
}

// TestTimeComesFromTheBackend: the clock is read in core/sys and in backends only.
func TestTimeComesFromTheBackend(t *testing.T) {
	for _, dir := range []string{"core", "core/h1", "core/ws", "core/header", "core/timer", "core/mount"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"time.Now(", "time.AfterFunc(", "time.Sleep(", "time.NewTimer(", "time.Tick", "time.After("} {
				if strings.Contains(string(b), bad) {
					t.Errorf("%s calls %s)", f, bad)
				}
			}
		}
	}
}

func TestPurePackagesCompileForWasm(t *testing.T) {
	args := []string{"build"}
	for _, p := range pure {
		args = append(args, "./"+p)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
