package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
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

// documentError is for a file that is neither JSON nor YAML.
type documentError struct {
	path string
	line int // where that shows, from 1
	err  error
}

func (e *documentError) Error() string { return e.path + ": " + e.detail() }

func (e *documentError) detail() string { return "neither JSON nor YAML: " + oneLine(e.err.Error()) }

func (e *documentError) Unwrap() error { return e.err }

// readDocument returns a JSON or YAML file's content as JSON. The error may be a
// *documentError.
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
		line := 1
		if at, ok := errors.AsType[*jcs.SyntaxError](notJSON); ok {
			line += bytes.Count(b[:min(at.Offset, len(b))], []byte("\n"))
		}
		return nil, &documentError{path, line, notJSON}
	}
	line := 1
	if at, ok := errors.AsType[yaml.Error](err); ok && at.GetToken() != nil {
		line = at.GetToken().Position.Line
	}
	return nil, &documentError{path, line, errors.New(yaml.FormatError(err, false, false))}
}

// oneLine joins lines, as errors go to the terminal in one.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
