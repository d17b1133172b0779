package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answer is what a command left behind.
type answer struct {
	code     int
	out, err string
}

// kestRun runs the command line as a user types it.
func kestRun(t *testing.T, stdin string, args ...string) answer {
	t.Helper()
	var out, err bytes.Buffer
	code := run(args, console{strings.NewReader(stdin), &out, &err})
	return answer{code, out.String(), err.String()}
}

// want fails unless the exit code is the given one and each text is in its place.
func (a answer) want(t *testing.T, code int, out ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("exit %d, not %d", a.code, code)
	}
	for _, text := range out {
		if !strings.Contains(a.out, text) {
			t.Errorf("%q is not in the output", text)
		}
	}
	if t.Failed() {
		t.Logf("out: %s\nerr: %s", a.out, a.err)
	}
}

// refused wants exit 2, nothing on stdout and one line on stderr that has the text.
func (a answer) refused(t *testing.T, text string) {
	t.Helper()
	if a.code != exitMisuse || a.out != "" {
		t.Errorf("exit %d, out %q", a.code, a.out)
	}
	lines := strings.Split(strings.TrimSuffix(a.err, "\n"), "\n")
	if last := lines[len(lines)-1]; len(lines) != 1 || !strings.HasPrefix(last, "kest: ") || !strings.Contains(last, text) {
		t.Errorf("stderr is not one line with %q: %q", text, a.err)
	}
}

// decode reads JSON output; members that the type doesn't have are a failure.
func decode[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(a.out))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, a.out)
	}
	if d.More() {
		t.Errorf("more than one value in %q", a.out)
	}
	return v
}

// file writes a file for a command to read.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, command := range []string{"demo", "proxy", "agent", "verify", "inspect", "canonical", "config check", "identity", "version", "policy check", "policy test", "policy eval", "policy build", "policy init"} {
		a := kestRun(t, "", append(strings.Fields(command), "--help")...)
		if a.code != exitGood || a.err != "" {
			t.Errorf("%s --help: exit %d, %q", command, a.code, a.err)
		}
		_, example, _ := strings.Cut(a.out, "Example:")
		if !strings.Contains(example, "kest "+command) {
			t.Errorf("%s --help has no example:\n%s", command, a.out)
		}
	}
}

func TestHelpListsTheCommands(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}} {
		kestRun(t, "", args...).want(t, exitGood, "demo", "proxy", "verify", "inspect", "canonical", "config check", "version", "policy check", "policy test", "policy eval", "policy build", "policy init", "Exit codes: 0 good")
	}
	kestRun(t, "", "config", "--help").want(t, exitGood, "config check")
	kestRun(t, "", "version").want(t, exitGood, "kest 0.", "schema 0.3.0")
}

func TestMisuse(t *testing.T) {
	for text, args := range map[string]string{
		"--nope":             "verify --nope",
		"bogus":              "bogus",
		"--keys":             "verify passport.json",
		"<passport>":         "verify --keys keys.json",
		"--semantics":        "verify --keys keys.json --semantics lax passport.json",
		"--schema":           "verify --keys keys.json --schema lax passport.json",
		"--guest":            "config check --guest other filter.yaml",
		"unexpected":         "canonical a.json b.json",
		"--wasm":             "proxy --config filter.yaml --listen 127.0.0.1:0 --upstream http://127.0.0.1:9",
		"no such file":       "inspect no/such/file.json",
		"http or https":      "proxy --wasm w --config c --listen 127.0.0.1:0 --upstream ftp://example.org",
		"open no/such.wasm:": "proxy --wasm no/such.wasm --config c --listen 127.0.0.1:0 --upstream http://127.0.0.1:9",
	} {
		t.Run(args, func(t *testing.T) { kestRun(t, "", strings.Fields(args)...).refused(t, text) })
	}
}
