package uuid7_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"strings"
	"testing"
	"time"

	"kest.example/kest/internal/uuid7"
)

// The example of RFC 9562 appendix A.6.
func TestPublishedExample(t *testing.T) {
	at := time.UnixMilli(0x017F22E279B0)
	random := bytes.NewReader([]byte{0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f})
	if got, err := uuid7.New(at, random); err != nil || got != "017f22e2-79b0-7cc3-98c4-dc0c0c07398f" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestNew(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	seen, before := make(map[string]bool), ""
	for i := range 1000 {
		id, err := uuid7.New(now.Add(time.Duration(i)*time.Millisecond), rand.Reader)
		if err != nil || !uuid7.Valid(id) || uuid7.ValidV4(id) || seen[id] || id <= before {
			t.Fatalf("%s after %s: %v", id, before, err)
		}
		seen[id], before = true, id
		v4, err := uuid7.NewV4(rand.Reader)
		if err != nil || !uuid7.ValidV4(v4) || uuid7.Valid(v4) || seen[v4] {
			t.Fatalf("%s: %v", v4, err)
		}
		seen[v4] = true
	}
	for _, short := range []io.Reader{strings.NewReader(""), strings.NewReader("nine byte")} {
		if id, err := uuid7.New(now, short); err == nil || id != "" {
			t.Errorf("without randomness: %q", id)
		}
		if id, err := uuid7.NewV4(short); err == nil || id != "" {
			t.Errorf("without randomness: %q", id)
		}
	}
}

func TestValid(t *testing.T) {
	good := "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
	if !uuid7.Valid(good) {
		t.Errorf("%s is refused", good)
	}
	for i := range good {
		for _, c := range "g-FZ \x00" {
			bad := good[:i] + string(c) + good[i+1:]
			if bad != good && uuid7.Valid(bad) {
				t.Errorf("%q is accepted", bad)
			}
		}
	}
	for _, variant := range "0123456789abcdef" {
		if got := uuid7.Valid(good[:19] + string(variant) + good[20:]); got != strings.ContainsRune("89ab", variant) {
			t.Errorf("variant %c: %v", variant, got)
		}
		if got := uuid7.Valid(good[:14] + string(variant) + good[15:]); got != (variant == '7') {
			t.Errorf("version %c: %v", variant, got)
		}
		if got := uuid7.ValidV4(good[:14] + string(variant) + good[15:]); got != (variant == '4') {
			t.Errorf("version %c as a v4: %v", variant, got)
		}
	}
	for _, s := range []string{"", good + "0", good[:35], "{" + good + "}", strings.ToUpper(good), strings.ReplaceAll(good, "-", "")} {
		if uuid7.Valid(s) {
			t.Errorf("%q is accepted", s)
		}
	}
}
