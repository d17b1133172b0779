package fleet

import (
	"strings"
	"testing"
	"time"

	"kest.example/kest"
)

// RunCacheAway runs what must hold while the cache that agents share is away,
// and after it is back, empty. stop and start are the cache's server.
func RunCacheAway(t *testing.T, s Surface, cache kest.Cache, stop, start func()) {
	f := New(t)
	f.Cache = cache
	orders, gw := f.Workload("orders", nil).Serve(), f.Workload("gw", nil)
	st := setup(t, orders, "")
	st.Config = strings.Replace(st.Config, `"keys"`, `"propagation": {"max_bytes": 64, "claim_check": {"cluster": "kest_agent"}}, "keys"`, 1)
	claims := s.Start(t, st)
	g := s.Start(t, setup(t, orders, ""))
	known := gw.Registered()
	g.want(t, 200, "a key of another node's agent", "Baggage", Root(t, known))
	claims.want(t, 200, "a claim is stored")
	_, headers := st.Backend.Visits()
	if len(headers) != 1 || !strings.HasPrefix(headers[0], "kest.claim_check=") {
		t.Fatalf("the baggage is %q, no claim", headers)
	}
	claims.want(t, 200, "and read again", "Baggage", headers[0])
	unknown := gw.Registered()

	stop()
	g.want(t, 200, "a root, the cache away")
	g.want(t, 200, "a known key, the cache away", "Baggage", Root(t, known))
	g.want(t, 503, "an unknown key, the cache away", "Baggage", Root(t, unknown))
	claims.want(t, 503, "a claim can't be stored")
	claims.want(t, 503, "a claim can't be read", "Baggage", headers[0])

	start()
	claims.eventually(t, 200, 30*time.Second, "claims are stored again", none)
	claims.eventually(t, 403, 10*time.Second, "a claim that was lost is not found", func() []string { return []string{"Baggage", headers[0]} })
	again := gw.Registered()
	g.eventually(t, 200, 30*time.Second, "a key of another node's agent again", func() []string { return []string{"Baggage", Root(t, again)} })
	g.want(t, 200, "a root, after all of these")
}

// RunThrottled runs what must hold of a workload whose provider refuses to sign
// for a while: keys that it bound go on until their end, then nothing is
// signed, and all goes on by itself. throttle(true) begins that.
func RunThrottled(t *testing.T, s Surface, id string, provider Provider, throttle func(bool)) {
	f := New(t)
	w := f.Other(id, provider, kest.StaticKeys{}, WithSessionTTL(6*time.Second)).Serve()
	st := setup(t, w, "")
	st.Config = strings.ReplaceAll(st.Config, "spiffe://example.org/orders", id)
	g := s.Start(t, st)
	g.want(t, 200, "before")
	throttle(true)
	g.want(t, 200, "throttled, under a bound key")
	g.eventually(t, 503, 30*time.Second, "throttled, the key at its end", none)
	visits, _ := st.Backend.Visits()
	g.want(t, 503, "still throttled")
	if after, _ := st.Backend.Visits(); after != visits {
		t.Error("a request that nobody signed for reached the upstream")
	}
	throttle(false)
	g.eventually(t, 200, 30*time.Second, "no longer throttled", none)
}
