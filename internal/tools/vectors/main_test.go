package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The files on disk are the ones that the command writes now.
func TestFilesAreCurrent(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	want := files()
	for name, content := range want {
		have, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil || !bytes.Equal(have, content) {
			t.Errorf("%s is not what go run ./internal/tools/vectors writes (%v)", name, err)
		}
	}
	for _, folder := range folders {
		paths, err := filepath.Glob(filepath.Join(root, folder, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if name := filepath.ToSlash(filepath.Join(folder, filepath.Base(path))); want[name] == nil {
				t.Errorf("%s is no longer written; run go run ./internal/tools/vectors", name)
			}
		}
	}
}

func TestTwoRunsWriteTheSame(t *testing.T) {
	first, second := files(), files()
	for name, content := range first {
		if !bytes.Equal(content, second[name]) {
			t.Errorf("%s differs between two runs", name)
		}
	}
}

func TestWriteRemovesWhatIsGone(t *testing.T) {
	root := t.TempDir()
	old := filepath.Join(root, folders[0], "old.json")
	if err := write(root, map[string][]byte{folders[0] + "/old.json": []byte("{}\n")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err != nil {
		t.Fatal(err)
	}
	if err := write(root, map[string][]byte{folders[1] + "/new.json": []byte("{}\n")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the old file is still there: %v", err)
	}
}
