package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	header = "\x00asm\x01\x00\x00\x00"
	typ    = "\x01\x04\x01\x60\x00\x00"
	fn     = "\x03\x02\x01\x00"
	code   = "\x0a\x04\x01\x02\x00\x0b"
	custom = "\x00\x03\x02hi"
)

func TestCodeSize(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		module string
		size   int
		err    error
	}{
		"one function":            {module: header + typ + fn + code, size: 4},
		"padded length":           {module: header + typ + fn + "\x0a\x84\x80\x80\x80\x00\x01\x02\x00\x0b", size: 4},
		"custom sections":         {module: header + custom + typ + fn + custom + code + custom, size: 4},
		"data count before code":  {module: header + typ + fn + "\x0c\x01\x00" + code, size: 4},
		"tag before global":       {module: header + typ + fn + "\x0d\x01\x00" + "\x06\x01\x00" + code, size: 4},
		"no functions":            {module: header + "\x0a\x01\x00", size: 1},
		"empty":                   {module: "", err: errMagic},
		"a component":             {module: "\x00asm\x0d\x00\x01\x00", err: errMagic},
		"cut in the header":       {module: header[:7], err: errMagic},
		"no code":                 {module: header + typ + fn, err: errNoCode},
		"cut in a section":        {module: header + typ + fn + code[:5], err: errTruncated},
		"cut in a length":         {module: header + typ + fn + "\x0a\x84", err: errTruncated},
		"id without a length":     {module: header + typ + fn + "\x0a", err: errTruncated},
		"length of 33 bits":       {module: header + "\x0a\x84\x80\x80\x80\x10", err: errLEB128},
		"length of six bytes":     {module: header + "\x0a\x84\x80\x80\x80\x80\x00", err: errLEB128},
		"unknown section":         {module: header + typ + fn + code + "\x0e\x00", err: errSectionID},
		"code twice":              {module: header + typ + fn + code + code, err: errOrder},
		"code before functions":   {module: header + typ + code + fn, err: errOrder},
		"data count after code":   {module: header + typ + fn + code + "\x0c\x01\x00", err: errOrder},
		"custom without a name":   {module: header + "\x00\x00" + typ + fn + code, err: errName},
		"custom with a bad name":  {module: header + "\x00\x02\x01\xff" + typ + fn + code, err: errName},
		"function without a body": {module: header + typ + "\x03\x03\x02\x00\x00" + code, err: errFunctions},
		"body without a function": {module: header + typ + code, err: errFunctions},
		"bytes after the bodies":  {module: header + typ + fn + "\x0a\x05\x01\x02\x00\x0b\x00", err: errFunctions},
		"body past its section":   {module: header + typ + fn + "\x0a\x04\x01\x03\x00\x0b", err: errTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size, err := codeSize([]byte(tc.module))
			if size != tc.size || !errors.Is(err, tc.err) {
				t.Fatalf("got %d, %v; want %d, %v", size, err, tc.size, tc.err)
			}
		})
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.wasm"), filepath.Join(dir, "bad.wasm")
	write(t, good, header+typ+fn+code)
	write(t, bad, header)
	for name, tc := range map[string]struct {
		args   []string
		exit   int
		stdout string
	}{
		"without a limit":    {args: []string{good}, exit: exitOK, stdout: good + ": 24 bytes, code section 4 bytes\n"},
		"at the limit":       {args: []string{"-max-code", "4", good}, exit: exitOK, stdout: good + ": 24 bytes, code section 4 bytes\n"},
		"over the limit":     {args: []string{"-max-code", "3", good}, exit: exitTooBig, stdout: good + ": 24 bytes, code section 4 bytes\n"},
		"malformed":          {args: []string{bad}, exit: exitMisused},
		"worst of several":   {args: []string{"-max-code", "3", bad, good}, exit: exitMisused, stdout: good + ": 24 bytes, code section 4 bytes\n"},
		"not there":          {args: []string{filepath.Join(dir, "none.wasm")}, exit: exitMisused},
		"no file":            {args: nil, exit: exitMisused},
		"unknown flag":       {args: []string{"-nope", good}, exit: exitMisused},
		"negative limit":     {args: []string{"-max-code", "-1", good}, exit: exitMisused},
		"help, with example": {args: []string{"-h"}, exit: exitOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if exit := run(tc.args, &stdout, &stderr); exit != tc.exit || stdout.String() != tc.stdout {
				t.Fatalf("exit %d, stdout %q; want %d, %q; stderr:\n%s", exit, &stdout, tc.exit, tc.stdout, &stderr)
			}
			if tc.exit != exitOK && strings.TrimSpace(stderr.String()) == "" {
				t.Fatal("failed without a word on stderr")
			}
		})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
