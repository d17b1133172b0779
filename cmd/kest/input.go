package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"

	"kest.example/kest"
)

// maxInput bounds what a command reads into memory, 64 MiB.
const maxInput = 64 << 20

// read returns a file's bytes, or standard input's for "-".
func (c console) read(path string) ([]byte, error) {
	in := c.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(b) > maxInput {
		err = fmt.Errorf("%s: longer than %d bytes", path, maxInput)
	}
	return b, err
}

// readDocument returns a JSON or YAML file's content as JSON.
func (c console) readDocument(path string) ([]byte, error) {
	b, err := c.read(path)
	if err != nil {
		return nil, err
	}
	_, notJSON := kest.Canonicalize(b)
	if notJSON == nil {
		return b, nil
	}
	j, err := yaml.YAMLToJSON(b)
	if err == nil {
		return j, nil
	}
	if t := bytes.TrimLeft(b, " \t\r\n"); len(t) > 0 && (t[0] == '{' || t[0] == '[') {
		return nil, fmt.Errorf("%s: neither JSON nor YAML: %w", path, notJSON)
	}
	return nil, fmt.Errorf("%s: neither JSON nor YAML: %s", path, oneLine(yaml.FormatError(err, false, false)))
}

// oneLine joins lines, as errors go to the terminal in one.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
