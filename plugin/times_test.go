package plugin

import (
	"testing"
	"time"
)

func TestParseTimeAgreesWithTheStandardLibrary(t *testing.T) {
	for _, s := range []string{
		"2027-01-01T00:00:00Z", "2026-12-31T23:59:59.5+01:30", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00-23:59",
		"2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01t00:00:00Z", "2026-01-01 00:00:00Z",
		"2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1:00", "2026-1-01T00:00:00Z", "", "x",
		"2026-01-01T00:00:60Z", "2026-01-01T00:00:00.123456789Z",
	} {
		want, err := time.Parse(time.RFC3339, s)
		got, ok := parseTime(s)
		if ok != (err == nil) || ok && !got.Equal(want) {
			t.Errorf("%q: %v %v, the standard library says %v %v", s, got, ok, want, err)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"300s": 300 * time.Second, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond, "0s": 0,
	} {
		if got, ok := parseDuration(s); !ok || got != want {
			t.Errorf("%q: %v %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "5", "s", "-5s", "5x", "1.5s", "5 s", "99999999999s", "5s5"} {
		if got, ok := parseDuration(s); ok {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}
