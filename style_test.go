package anyloop_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	maxFuncLines = 60
	maxFileLines = 500
)

// longer lists the exceptions to the limits by name, each with its reason.
var longer = map[string]string{}

// TestSizes keeps functions a screen long and files to one idea.
func TestSizes(t *testing.T) {
	eachFile(t, func(p string, f *ast.File, fset *token.FileSet) {
		if n := fset.File(f.Pos()).LineCount(); n > maxFileLines && longer[p] == "" {
			t.Errorf("%s has %d lines, more than %d", p, n, maxFileLines)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			if n > maxFuncLines && longer[p+":"+fn.Name.Name] == "" {
				t.Errorf("%s: %s has %d lines, more than %d", p, fn.Name.Name, n, maxFuncLines)
			}
		}
	})
}

// TestExportedNamesAreDocumented: every exported name of the library has a doc
// comment.
func TestExportedNamesAreDocumented(t *testing.T) {
	eachFile(t, func(p string, f *ast.File, fset *token.FileSet) {
		if strings.HasPrefix(p, "examples") {
			return
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && receiverExported(d) && d.Doc == nil && !wellKnown[d.Name.Name] {
					t.Errorf("%s: %s has no doc comment", fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: %s has no doc comment", fset.Position(ts.Pos()), ts.Name.Name)
					}
				}
			}
		}
	})
}

// wellKnown methods say what they do by implementing a standard interface.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "String": true, "Is": true, "Enabled": true, "WithAttrs": true, "WithGroup": true}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func eachFile(t *testing.T, look func(p string, f *ast.File, fset *token.FileSet)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, src, parser.ParseComments)
		if err != nil {
			return err
		}
		n++
		look(filepath.ToSlash(p), f, fset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 20 {
		t.Fatalf("only %d files found", n)
	}
}
