package identityhost_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost"
)

const passport = `["eyJhbGciOiJFZERTQSJ9.e30.c2ln","other"]`

func claimPath(i int) string {
	return fmt.Sprintf("/v1/claims/%08d-0000-4000-8000-000000000000", i)
}

func TestClaimsOverHTTP(t *testing.T) {
	w := newWorld(t, setup{})
	n := 0
	w.each(func(c client, over string) {
		n++
		path := claimPath(n)
		c.do(t, "GET", path, "").want(t, "unknown", 404)
		r := c.do(t, "PUT", path+"?ttl=60", passport, "Content-Type", "application/json")
		r.want(t, over, http.StatusNoContent)
		if r.body != "" {
			t.Errorf("204 with %q", r.body)
		}
		c.do(t, "PUT", path, passport).want(t, "a second time", 409)
		r = c.do(t, "GET", path, "")
		r.want(t, over, 200)
		if r.body != passport || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("got %q", r.body)
		}
	})
	w.clock.add(61 * time.Second)
	w.clients["unix"].do(t, "GET", claimPath(1), "").want(t, "after its ttl", 404)
	w.clients["unix"].do(t, "PUT", claimPath(3), passport).want(t, "without a ttl", 204)
	w.clock.add(299 * time.Second)
	w.clients["unix"].do(t, "GET", claimPath(3), "").want(t, "before 300 s", 200)
	w.clock.add(2 * time.Second)
	w.clients["unix"].do(t, "GET", claimPath(3), "").want(t, "after 300 s", 404)
}

func TestClaimsThatAreRefused(t *testing.T) {
	w := newWorld(t, setup{})
	const v7 = "/v1/claims/019d6e05-7ead-7000-952a-cdbb3e7f0c5f"
	good := claimPath(1)
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"a UUID v7":             {v7, passport, 400},
		"a UUID in capitals":    {strings.ToUpper("/v1/claims/9f0c2a57-0c2e-4f0e-8f6e-1d5f1f0f8a11")[len("/V1/CLAIMS"):], passport, 404},
		"no UUID":               {"/v1/claims/x", passport, 400},
		"an escaped UUID":       {"/v1/claims/..%2fkest.binding.x", passport, 400},
		"a ttl of 0":            {good + "?ttl=0", passport, 400},
		"a ttl of 3601":         {good + "?ttl=3601", passport, 400},
		"a negative ttl":        {good + "?ttl=-1", passport, 400},
		"a ttl with a unit":     {good + "?ttl=300s", passport, 400},
		"an empty ttl":          {good + "?ttl=", passport, 400},
		"a huge ttl":            {good + "?ttl=18446744073709551617", passport, 400},
		"two ttls":              {good + "?ttl=1&ttl=2", passport, 400},
		"a malformed query":     {good + "?ttl=%zz", passport, 400},
		"no body":               {good, "", 400},
		"no list":               {good, `{}`, 400},
		"a list of numbers":     {good, `[1]`, 400},
		"cut off":               {good, `["a"`, 400},
		"something behind":      {good, `["a"]x`, 400},
		"a byte order mark":     {good, "\ufeff[]", 400},
		"very many entries":     {good, "[" + strings.Repeat(`"",`, 5000) + `""]`, 400},
		"a byte more than fits": {good, `["` + strings.Repeat("a", 1<<20-3) + `"]`, 413},
		"far too long":          {good, `["` + strings.Repeat("a", 3<<20) + `"]`, 413},
		"just as long as fits":  {good + "?ttl=3600", `["` + strings.Repeat("a", 1<<20-4) + `"]`, 204},
	} {
		if c.status < 300 {
			defer func() { w.clients["loopback"].do(t, "PUT", c.path, c.body).want(t, name, c.status) }()
			continue
		}
		w.each(func(client client, over string) {
			client.do(t, "PUT", c.path, c.body).want(t, name+" over "+over, c.status)
		})
	}
	w.clients["unix"].do(t, "GET", v7, "").want(t, "GET of a UUID v7", 400)
	w.clients["unix"].do(t, "GET", good, "").want(t, "after all that", 404)
}

// When the claims' room is used up nothing more is taken, and nothing that was
// taken is lost.
func TestClaimsFull(t *testing.T) {
	w := newWorld(t, setup{options: []identityhost.AgentOption{identityhost.WithMaxClaims(64 << 10)}})
	c := w.clients["unix"]
	body := `["` + strings.Repeat("a", 4000) + `"]`
	taken := 0
	for ; ; taken++ {
		r := c.do(t, "PUT", claimPath(taken), body)
		if r.status == http.StatusInsufficientStorage {
			r.want(t, "full", 507)
			break
		}
		r.want(t, "a claim", 204)
	}
	if taken != 15 {
		t.Errorf("%d claims of 4 KB in 64 KiB", taken)
	}
	for i := range taken {
		if r := c.do(t, "GET", claimPath(i), ""); r.status != 200 || r.body != body {
			t.Errorf("claim %d: %d", i, r.status)
		}
	}
	c.do(t, "GET", claimPath(taken), "").want(t, "the one that didn't fit", 404)
	w.register(newSessionKey(t, "k")) // sessions don't suffer from claims
	w.clock.add(302 * time.Second)
	c.do(t, "PUT", claimPath(taken), body).want(t, "when the others are over", 204)
}

// Small claims are limited by their number.
func TestNumberOfClaims(t *testing.T) {
	w := newWorld(t, setup{options: []identityhost.AgentOption{identityhost.WithMaxClaims(2 << 20)}})
	put := func(i int) error {
		return w.agent.ClaimPut(context.Background(), claimPath(i)[len("/v1/claims/"):], time.Minute, []byte(`[]`))
	}
	for i := range 2048 {
		if err := put(i); err != nil {
			t.Fatalf("claim %d: %v", i, err)
		}
	}
	if err := put(2048); identityhost.StatusOf(err) != http.StatusInsufficientStorage {
		t.Errorf("one more than one for each KiB: %v", err)
	}
	w.clients["unix"].do(t, "GET", claimPath(0), "").want(t, "the first", 200)
	w.clients["unix"].do(t, "GET", claimPath(2047), "").want(t, "the last", 200)
	w.clock.add(62 * time.Second)
	if err := put(2048); err != nil {
		t.Errorf("when the others are over: %v", err)
	}
}

// What failed takes no room.
func TestClaimsThatFailTakeNoRoom(t *testing.T) {
	w := newWorld(t, setup{options: []identityhost.AgentOption{identityhost.WithMaxClaims(16 << 10)}})
	body := `["` + strings.Repeat("a", 8000) + `"]`
	w.clients["unix"].do(t, "PUT", claimPath(1), body).want(t, "a claim", 204)
	for range 10 {
		w.clients["unix"].do(t, "PUT", claimPath(1), body).want(t, "the same again", 409)
	}
	w.clients["unix"].do(t, "PUT", claimPath(2), strings.Repeat(" ", 100)+`["a"]`).want(t, "another", 204)
}

// One of many callers makes a claim, and it is his.
func TestConcurrentClaims(t *testing.T) {
	w := newWorld(t, setup{})
	var wait sync.WaitGroup
	statuses := make([]int, 32)
	for i := range statuses {
		wait.Go(func() {
			c := w.clients[[]string{"unix", "loopback"}[i%2]]
			statuses[i] = c.do(t, "PUT", claimPath(7), fmt.Sprintf(`["%d"]`, i)).status
		})
	}
	wait.Wait()
	got, won := w.clients["unix"].do(t, "GET", claimPath(7), "").body, 0
	for i, s := range statuses {
		switch {
		case s == 204 && got == fmt.Sprintf(`["%d"]`, i):
			won++
		case s != 409:
			t.Errorf("caller %d: %d, and the claim is %s", i, s, got)
		}
	}
	if won != 1 {
		t.Errorf("%d callers made one claim", won)
	}
}

func TestClaimStoreAway(t *testing.T) {
	w := newWorld(t, setup{cache: brokenCache{}})
	w.clients["unix"].do(t, "PUT", claimPath(1), passport).want(t, "put", 503)
	w.clients["unix"].do(t, "GET", claimPath(1), "").want(t, "get", 503)
	full := &switching{Cache: newReplacing(), err: kest.ErrFull}
	w = newWorld(t, setup{cache: full})
	w.clients["unix"].do(t, "PUT", claimPath(1), passport).want(t, "a store without room", 507)
	big := newReplacing()
	if err := big.Put(context.Background(), kest.ClaimKey(claimPath(1)[len("/v1/claims/"):]), make([]byte, 2<<20), time.Hour); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, setup{cache: big})
	w.clients["unix"].do(t, "GET", claimPath(1), "").want(t, "something huge in the store", 503)
}
