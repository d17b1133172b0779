// Command vectors writes the data files of test/vectors and test/cases: the
// same bytes at each run. It makes them with the standard library alone, so
// that they test the library and not themselves.
//
//	go run ./internal/tools/vectors
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root, err := moduleRoot()
	if err == nil {
		err = write(root, files())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(1)
	}
}

// folders are the ones whose *.json files are this command's alone.
var folders = []string{"test/vectors/verify", "test/cases"}

// files returns all that is written, path in the module to content.
func files() map[string][]byte {
	out := make(map[string][]byte)
	for _, v := range verifyVectors() {
		out["test/vectors/verify/"+v.Name+".json"] = render(v)
	}
	for _, c := range filterCases() {
		out["test/cases/"+c.Name+".json"] = render(c)
	}
	return out
}

func render(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// write replaces the files; those that are no longer made go.
func write(root string, files map[string][]byte) error {
	for _, folder := range folders {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o750); err != nil {
			return err
		}
		old, err := filepath.Glob(filepath.Join(root, folder, "*.json"))
		if err != nil {
			return err
		}
		for _, path := range old {
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if files[filepath.ToSlash(name)] == nil {
				if err := os.Remove(path); err != nil {
					return err
				}
			}
		}
	}
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, content) {
			continue
		}
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // test data that anybody may read
			return err
		}
	}
	return nil
}

// moduleRoot is the folder above the working one that has go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", fmt.Errorf("%s is in no module", dir)
		}
	}
	return "", err
}
