package anyloop_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNestedModules runs the tests of the modules inside this one: they have
// dependencies that users of the library must not get. Their tests skip by name
// what needs a program that is not installed; with ANYLOOP_CI=1 they fail.
func TestNestedModules(t *testing.T) {
	if testing.Short() {
		t.Skip("nested modules run without -short")
	}
	var dirs []string
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || p != "." && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if d.Name() == "go.mod" && p != "go.mod" {
			dirs = append(dirs, filepath.Dir(p))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) == 0 {
		t.Fatal("no nested module found")
	}
	for _, dir := range dirs {
		t.Run(filepath.ToSlash(dir), func(t *testing.T) {
			// The fixed time is a bound on a hang, far above what it takes.
			cmd := exec.Command("go", "test", "-count=1", "-timeout=10m", "./...")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOFLAGS=")
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
