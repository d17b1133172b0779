package conformance_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"kest.example/kest/test/conformance"
)

func TestNative(t *testing.T) { conformance.Run(t, conformance.Native{}) }

// With the same clock and random source two runs give the same bytes.
func TestNativeIsDeterministic(t *testing.T) {
	for _, c := range conformance.Load(t) {
		first, second := conformance.Native{}.Do(t, c), conformance.Native{}.Do(t, c)
		a, b := marshal(t, first), marshal(t, second)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: %s\nthen %s", c.Name, a, b)
		}
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The corpus has cases of both guests and of every status that a filter without
// tokens gives.
func TestCorpus(t *testing.T) {
	seen := make(map[string]map[int]int)
	for _, c := range conformance.Load(t) {
		if seen[c.Guest] == nil {
			seen[c.Guest] = make(map[int]int)
		}
		seen[c.Guest][c.Expect.Status]++
	}
	for guest, statuses := range map[string][]int{
		conformance.GuestPolicy: {200, 400, 403, 503}, conformance.GuestLineage: {200, 400, 403},
	} {
		for _, status := range statuses {
			if seen[guest][status] == 0 {
				t.Errorf("no case of guest %s ends in %d", guest, status)
			}
		}
	}
	if len(seen) != 2 {
		t.Errorf("guests %v", seen)
	}
}
