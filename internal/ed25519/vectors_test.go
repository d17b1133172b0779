package ed25519_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"kest.example/kest/internal/ed25519"
)

// vectorsVariable names the directory of the vectors where no command can be
// run to find it: in WebAssembly.
const vectorsVariable = "KEST_ED25519_VECTORS"

// vectorsDir is that of voi's test data, in the module cache.
func vectorsDir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv(vectorsVariable); dir != "" {
		return dir
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/oasisprotocol/curve25519-voi").Output()
	if err != nil {
		t.Fatalf("where is voi: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "primitives", "ed25519", "testdata")
}

func unzip(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.Open(filepath.Join(vectorsDir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	reader, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func load[T any](t testing.TB, name string, count int, size func(T) int) (vectors T) {
	t.Helper()
	if err := json.Unmarshal(unzip(t, name), &vectors); err != nil {
		t.Fatal(err)
	}
	if n := size(vectors); n != count {
		t.Fatalf("%s has %d vectors, want %d", name, n, count)
	}
	return vectors
}

// check wants want, of everything and of the reference.
func check(t *testing.T, key, message, signature []byte, want bool) {
	t.Helper()
	if got := verdict(t, key, message, signature); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	checkReference(t, key, message, signature, want)
}

// checkReference does nothing in WebAssembly: it would take a minute, and the
// reference is the same there.
func checkReference(t *testing.T, key, message, signature []byte, want bool) {
	t.Helper()
	if runtime.GOARCH != "wasm" && refVerify(key, message, signature) != want {
		t.Errorf("the reference disagrees: want %v", want)
	}
}

// TestSpeccheck has the 12 cases of "Taming the many EdDSAs" (Chalkias,
// Garillot, Nikolaenko, 2020), table 5.
func TestSpeccheck(t *testing.T) {
	wants := []struct {
		want bool
		why  string
	}{
		{false, "key of small order"},
		{false, "key of small order"},
		{true, "key of mixed order, R of small order"},
		{true, "key and R of mixed order"},
		{true, "good with the cofactor alone"},
		{true, "good with the cofactor alone, unless 8h is reduced first"},
		{false, "S > L"},
		{false, "S >> L"},
		{false, "R not canonical"},
		{false, "R not canonical"},
		{false, "key not canonical"},
		{false, "key not canonical"},
	}
	type vector struct {
		Message   string
		Key       string `json:"pub_key"`
		Signature string
	}
	vectors := load(t, "speccheck_cases.json.gz", len(wants), func(v []vector) int { return len(v) })
	for i, v := range vectors {
		t.Run(fmt.Sprintf("%d: %s", i, wants[i].why), func(t *testing.T) {
			check(t, unhex(v.Key), unhex(v.Message), unhex(v.Signature), wants[i].want)
		})
	}
}

// TestCCTV has C2SP's vectors of what implementations disagree on. Those are
// good signatures but for what their flags say.
func TestCCTV(t *testing.T) {
	badKey := []string{"LowOrderA", "NonCanonicalA"}
	bad := append([]string{"NonCanonicalR"}, badKey...)
	good := []string{"LowOrderR", "LowOrderComponentA", "LowOrderComponentR", "LowOrderResidue"}
	type vector struct {
		A, R, S, M string
		Flags      []string
	}
	for i, v := range load(t, "ed25519vectors.json.gz", 768, func(v []vector) int { return len(v) }) {
		t.Run(fmt.Sprint(i, v.Flags), func(t *testing.T) {
			has := func(flag string) bool { return slices.Contains(v.Flags, flag) }
			for _, flag := range v.Flags {
				if !slices.Contains(bad, flag) && !slices.Contains(good, flag) {
					t.Fatalf("unknown flag %s", flag)
				}
			}
			if _, err := ed25519.NewPublicKey(unhex(v.A)); (err != nil) != slices.ContainsFunc(badKey, has) {
				t.Errorf("key %s: %v", v.A, err)
			}
			check(t, unhex(v.A), []byte(v.M), unhex(v.R+v.S), !slices.ContainsFunc(bad, has))
		})
	}
}

// TestZIP215 has the vectors of Zcash: all keys and all R are of small order,
// every encoding of them with every other.
func TestZIP215(t *testing.T) {
	for i, v := range load(t, "zip215.json.gz", 196, func(v [][2]string) int { return len(v) }) {
		t.Run(fmt.Sprint(i), func(t *testing.T) { check(t, unhex(v[0]), []byte("Zcash"), unhex(v[1]), false) })
	}
}

type wycheproof struct {
	NumberOfTests int
	TestGroups    []struct {
		Key   struct{ PK, SK string }
		Tests []struct {
			ID               int `json:"tcId"`
			Comment          string
			Msg, Sig, Result string
		}
	}
}

func TestWycheproof(t *testing.T) {
	vectors := load(t, "eddsa_test.json.gz", 145, func(v wycheproof) int { return v.NumberOfTests })
	n, test1024 := 0, false
	for _, group := range vectors.TestGroups {
		for _, v := range group.Tests {
			n++
			test1024 = test1024 || strings.HasSuffix(v.Comment, "Test 1024") && len(v.Msg) == 2*1023 && v.Result == "valid"
			t.Run(fmt.Sprintf("%d %s", v.ID, v.Comment), func(t *testing.T) {
				want := v.Result == "valid"
				check(t, unhex(group.Key.PK), unhex(v.Msg), unhex(v.Sig), want)
				if want && fmt.Sprintf("%x", mustPrivate(t, unhex(group.Key.SK)).Sign(unhex(v.Msg))) != v.Sig {
					t.Error("signed differently")
				}
			})
		}
	}
	if n != vectors.NumberOfTests || !test1024 {
		t.Errorf("%d tests, want %d with RFC 8032's TEST 1024: %v", n, vectors.NumberOfTests, test1024)
	}
}

// TestSignInput has the first of the vectors that Ed25519 came with: seed and
// key, key, message, signature and message.
func TestSignInput(t *testing.T) {
	lines := strings.Fields(string(unzip(t, "sign.input.gz")))
	if len(lines) != 128 {
		t.Fatalf("%d vectors, want 128", len(lines))
	}
	for _, line := range lines {
		v := strings.Split(line, ":")
		seed, key, message, signature := unhex(v[0])[:32], unhex(v[1]), unhex(v[2]), unhex(v[3])[:64]
		private := mustPrivate(t, seed)
		if !bytes.Equal(private.Public(), key) || !bytes.Equal(private.Sign(message), signature) {
			t.Errorf("%x: signed differently", seed)
		}
		if !verdict(t, key, message, signature) {
			t.Errorf("%x: refused", seed)
		}
	}
}
